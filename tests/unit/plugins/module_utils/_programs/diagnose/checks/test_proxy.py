# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WebSocket handshakes, judged; and who answers in the place of Nginx."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks import nginx
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._net.websocket import Handshake
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks import proxy
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.proxy import (
    check_nginx,
    check_websocket,
    instead_of_nginx,
    judge_handshake,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.service import check_proxy
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.runner import Context
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Handshake(101, True), OK),
        (Handshake(101, False), CRITICAL),
        (Handshake(400, False), OK),
        (Handshake(401, False), OK),
        (Handshake(429, False), WARNING),
        (Handshake(503, False), WARNING),
        (Handshake(502, False), CRITICAL),
        (Handshake(200, False), CRITICAL),
        (None, CRITICAL),
    ],
)
def test_a_handshake_is_judged(answer: Handshake | None, status: str) -> None:
    finding = judge_handshake("/ws", answer, "5 ms")
    assert (finding.check, finding.status) == ("websocket./ws", status)


def test_a_handshake_that_is_not_answered_in_time_says_nothing_on_a_busy_host(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        url = f"ws://127.0.0.1:{slow.getsockname()[1]}"
        sections = {"websocket": {"url": url, "paths": ["/ws"]}, "health": {"host_name": "", "http_timeout_ms": 100}}
        late = check_websocket(Context(sections, Samples(tmp_path / "state")))
    refused = check_websocket(Context(sections, Samples(tmp_path / "state")))
    assert [(found.status, found.timed) for found in (*late, *refused)] == [(CRITICAL, True), (CRITICAL, False)]


def test_what_answers_while_nginx_does_not_run_is_no_healthy_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (proxy, nginx):
        monkeypatch.setattr(module, "PID_FILE", tmp_path / "nginx.pid")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        health = {"url": f"http://127.0.0.1:{port}/health", "host_name": "", "http_timeout_ms": 1000}
        context = Context({"health": health, "units": ["nginx"]}, Samples(tmp_path / "state"))
        findings = [*check_proxy(context), *check_nginx(context)]
    by = f"another program (of the user {pwd.getpwuid(os.getuid()).pw_name})"
    message = (
        f"port {port} is answered by {by}, Nginx is not running. See it with `ss -tlnp`, stop it, then: systemctl start"
        " nginx."
    )
    assert [(found.check, found.status, found.message) for found in findings] == [
        ("proxy", CRITICAL, message),
        ("nginx", CRITICAL, message),
    ]
    # when it has ended, nothing is said of it; nor where no Nginx is to run
    assert instead_of_nginx(context) == ""
    assert instead_of_nginx(Context({"health": health, "units": []}, context.samples)) == ""
