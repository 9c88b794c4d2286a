# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WebSocket handshakes, judged."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._net.websocket import Handshake
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.checks.proxy import judge_handshake


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Handshake(101, True), OK),
        (Handshake(101, False), CRITICAL),
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
