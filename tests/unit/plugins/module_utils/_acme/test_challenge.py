# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be seen of a challenge before an authority is asked, with a real server and the host's own resolver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme.challenge import CHALLENGES, check_challenge
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


class Site(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        pass


class Redirect(Site):
    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", "https://localhost/")
        self.end_headers()


class Welcome(Site):
    """Takes every name and every path."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Welcome to the other host, which has a page for everything there is\n")


@pytest.fixture
def port(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(request.param, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("port", [Site, Redirect], indirect=True)
def test_a_site_that_serves_the_challenge_or_leads_on_is_asked_for_no_more(tmp_path: Path, port: int) -> None:
    check_challenge(["localhost"], tmp_path, port)
    assert list((tmp_path / CHALLENGES).iterdir()) == []


@pytest.mark.parametrize("port", [Site, Welcome], indirect=True)
def test_what_answers_without_the_challenge_is_another_one(tmp_path: Path, port: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(
        StabilityError, match=r"so none was asked:\nlocalhost: 127\.0\.0\.1.* answers without the challenge"
    ):
        check_challenge(["localhost"], elsewhere, port)
    assert list((elsewhere / CHALLENGES).iterdir()) == []


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(StabilityError) as caught:
        check_challenge(["nowhere.invalid", "localhost"], tmp_path, 1)
    _head, nowhere, here = str(caught.value).splitlines()
    assert nowhere.startswith("nowhere.invalid: the name does not resolve")
    assert here.startswith("localhost: this host (127.0.0.1")


def test_a_webroot_that_others_may_lead_elsewhere_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    for webroot, wrong in ((shared / "own", shared), (tmp_path / "link", tmp_path / "link")):
        with pytest.raises(StabilityError, match=f"{webroot} is no place for challenges: {wrong} is a link, or others"):
            check_challenge(["localhost"], webroot)
