# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._compare.table import (
    DIFFERS,
    SAME,
    HostDrift,
    drift_of,
    table,
    verdict_of,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._hosts import FAILED, UNREACHABLE

TOOK = {"questions": 20, "rounds": 4, "seconds": 2.34, "host_seconds": 0.81, "told": ["by hand"]}
FOUND = [
    {"role": "watchdog", "task": "Install the watchdog", "what": "/usr/bin/shop\n-watchdog", "since": "2026-11-28"},
    {"role": "pm2", "task": "Activate the release", "what": ""},
]


@pytest.mark.parametrize(
    ("registered", "state", "note"),
    [
        (None, FAILED, "it was not compared: see what the run says above"),
        ({"unreachable": True, "msg": "Task failed: no route"}, UNREACHABLE, "no route"),
        ({"failed": True, "msg": "broken"}, FAILED, "broken"),
        ({"skipped": True}, FAILED, "it was not compared"),
        ({"differences": [], **TOOK}, SAME, "20 questions in 4 calls, 2.3 s, of which the host worked 0.8 s"),
        ({"differences": FOUND, **TOOK}, DIFFERS, "20 questions in 4 calls, 2.3 s, of which the host worked 0.8 s"),
    ],
)
def test_what_is_said_of_a_host(registered: dict[str, object] | None, state: str, note: str) -> None:
    drift = drift_of("app1", registered)
    assert (drift.state, drift.note) == (state, note)
    assert list(drift.differences) == (FOUND if state == DIFFERS else [])
    assert list(drift.told) == (["by hand"] if state in (SAME, DIFFERS) else [])


def test_a_table_has_a_line_for_each_host_and_each_difference() -> None:
    drifts = [
        HostDrift("app1", DIFFERS, FOUND, "took"),
        HostDrift("database1", SAME, told=["a\nb"]),
        HostDrift("\x1b[2J", FAILED),
    ]
    assert table(drifts) == [
        ("", "HOST       STATE"),
        (DIFFERS, "app1       differs      took"),
        (DIFFERS, "    watchdog  Install the watchdog: /usr/bin/shop -watchdog (since 2026-11-28)"),
        (DIFFERS, "    pm2       Activate the release"),
        (SAME, "database1  as declared"),
        (SAME, "    by hand: a b"),
        (FAILED, "\\x1b[2J       failed"),
    ]
    assert verdict_of(drifts) == "2 of 3 hosts: app1 (differs), \x1b[2J (failed)"
    assert verdict_of([drifts[1]]) == ""
