# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The monitor of an inventory; Prometheus and Alertmanager answer in the scenario monitor."""

from __future__ import annotations

from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._checks.monitor import check_monitor, judge_targets


def target(instance: str, health: str = "up", error: str = "") -> dict[str, Any]:
    return {"labels": {"job": "node", "instance": instance}, "health": health, "lastError": error}


def test_targets_that_are_up_or_were_not_asked_yet_are_well() -> None:
    (finding,) = judge_targets([target("app1"), target("app2", "unknown")])
    assert (finding.status, finding.value) == (OK, 1)
    assert finding.message == "1 of 2 exporters and servers answer, the others were not asked yet"


def test_each_that_is_down_is_named_with_the_reason() -> None:
    found = judge_targets([target("app1"), target("app2", "down", "connection refused"), target("db1", "down", "x")])
    assert [finding.status for finding in found] == [WARNING, WARNING]
    assert found[0].message == "node of app2 does not answer: connection refused"


def test_that_nothing_is_up_or_asked_is_critical() -> None:
    assert [finding.status for finding in judge_targets([target("app1", "down")])] == [CRITICAL]
    assert [finding.status for finding in judge_targets([])] == [CRITICAL]


def test_where_neither_runs_both_are_said_to_be_down_and_what_to_do() -> None:
    found = check_monitor(2)
    assert [(finding.check, finding.status) for finding in found] == [
        ("prometheus", CRITICAL),
        ("alertmanager", CRITICAL),
    ]
    assert "journalctl -u prometheus-alertmanager" in found[1].message
