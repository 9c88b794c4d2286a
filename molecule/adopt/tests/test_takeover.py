# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/adopting.md, step by step and under load: from a PM2 and an Nginx set up by hand to the roles', and back."""

from __future__ import annotations

import urllib.request
from typing import Any

import by_hand
import pytest
from deployments import assert_unnoticed, load
from edge import await_port
from testinfra.host import Host

OURS = {"service_supervisor": "collection", "service_user": "legacy", "service_secrets": {"JWT_SECRET": by_hand.SECRET}}
BESIDE = {**OURS, "nginx_server_names": ["legacy-new.test"]}
INSTEAD = {**OURS, "nginx_server_names": ["legacy.test"], "nginx_superseded_files": ["sites-enabled/by-hand-legacy"]}
# clients that open a connection for each request: those that are kept alive, every reload of Nginx may close
LOAD = ("--host=legacy.test", "--connections=4", "--once=1")


def apply(tags: str, **variables: Any) -> str:
    code, output = by_hand.run(tags, "--limit=legacy", **variables)
    assert code == 0, output
    return output


@pytest.fixture(scope="module")
def watched(services: Host) -> Host:
    """The service as the first tier has left it: its tools belong to the user that it has now."""
    apply("immediate")
    return services


def answered_by(host_name: str, address: str) -> str:
    request = urllib.request.Request(f"{address}/api/health", headers={"Host": host_name})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.headers["x-release"])


def serving(tally: dict[str, Any]) -> list[str]:
    """Who answered, in the order of the first answers."""
    return sorted(tally["releases"], key=lambda name: float(tally["releases"][name]["first"]))


def test_the_service_is_taken_over_and_given_back(watched: Host, address: str) -> None:
    by_hands = "pm2 by hand"
    with load(address, *LOAD) as tally:
        apply("", **BESIDE)
        assert answered_by("legacy-new.test", address) == "the roles"
    assert_unnoticed(tally)
    assert serving(tally) == [by_hands]
    with load(address, *LOAD) as tally:
        apply("long_term", **INSTEAD)
        watched.check_output("systemctl disable --now pm2-appuser.service")
    assert_unnoticed(tally)
    assert serving(tally) == [by_hands, "the roles"]
    assert watched.file(by_hand.SITE).exists
    assert not watched.file(by_hand.LINK).exists
    assert by_hand.status(watched, "legacy")["state"] == "healthy"
    # the tools' files went with the service to its new user
    assert not watched.check_output("find /var/log/legacy /var/lib/legacy-* -user appuser")

    with load(address, *LOAD) as tally:
        watched.check_output("systemctl enable --now pm2-appuser.service")
        await_port(watched, 4103, limit=60)
        # both have the name now, and Nginx goes on with the one that it reads first
        watched.check_output(f"ln -s {by_hand.SITE} {by_hand.LINK} && nginx -t && systemctl reload nginx")
        apply("long_term", **BESIDE)
    assert_unnoticed(tally)
    assert serving(tally) == ["the roles", by_hands]
    with load(address, *LOAD) as tally:
        watched.check_output("systemctl disable --now legacy.service")
        apply("immediate")
    assert_unnoticed(tally)
    assert not watched.check_output("find /var/log/legacy /var/lib/legacy-* -user legacy")
    assert by_hand.status(watched, "legacy")["readings"]["release"] == "legacy"
