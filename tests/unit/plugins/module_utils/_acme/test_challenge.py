# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be seen of a challenge before an authority is asked, with a real server and the host's own resolver."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._acme import challenge
from ansible_collections.workbot.stability.plugins.module_utils._acme.challenge import CHALLENGES, challenge_problems
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
    assert challenge_problems(["localhost"], tmp_path, port) == []
    assert list((tmp_path / CHALLENGES).iterdir()) == []


@pytest.mark.parametrize("port", [Site, Welcome], indirect=True)
def test_what_answers_without_the_challenge_is_another_one(tmp_path: Path, port: int) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (problem,) = challenge_problems(["localhost"], elsewhere, port)
    assert problem.startswith("localhost: 127.0.0.1 answers without the challenge")
    assert list((elsewhere / CHALLENGES).iterdir()) == []


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    nowhere, here = challenge_problems(["nowhere.invalid", "localhost"], tmp_path, 1)
    assert nowhere.startswith("nowhere.invalid: the name does not resolve")
    assert here.startswith("localhost: this host does not answer: 127.0.0.1:1: connection refused")


@pytest.mark.parametrize("port", [Site], indirect=True)
@pytest.mark.parametrize(
    ("addresses", "problem"),
    [
        (["127.0.0.1", "127.0.0.2"], "shop.test: no answer from 127.0.0.2:"),
        # an authority asks IPv4 where IPv6 is silent
        (["127.0.0.1", "::1"], ""),
        # what is not this host's may be reached by others
        (["192.0.2.1"], ""),
    ],
)
def test_a_name_of_several_addresses(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch, addresses: list[str], problem: str
) -> None:
    resolve = socket.getaddrinfo

    def resolved(name: str, *arguments: Any, **options: Any) -> list[Any]:
        found = addresses if name == "shop.test" else [name]
        return [entry for address in found for entry in resolve(address, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(challenge, "_SECONDS", 0.5)
    problems = challenge_problems(["shop.test"], tmp_path, port)
    assert [found[: len(problem)] for found in problems] == [problem] * bool(problem)


def test_a_webroot_that_others_may_lead_elsewhere_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    for webroot, wrong in ((shared / "own", shared), (tmp_path / "link", tmp_path / "link")):
        with pytest.raises(StabilityError, match=f"{webroot} is no place for challenges: {wrong} is a link, or others"):
            challenge_problems(["localhost"], webroot)
