# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the service is: the watchdog's command, the metrics and the report say the same of one moment."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.watchdog import metrics_of
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.facts import Facts
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.page import Page
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Assessment
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import State
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.status import Moment, describe
from watch_samples import readings, settings, settings_content

WORDS = {"ok": "Healthy", "warning": "Warning", "critical": "Critical"}


def _found(check: str, level: str) -> dict[str, str]:
    return {"check": check, "status": level}


def _open(key: str, severity: str) -> dict[str, Any]:
    return {"key": key, "code": "finding", "severity": severity, "message": "91 %", "since": 1.0, "seen": True}


def _status(state: str, problems: Sequence[Any] = (), raised: Sequence[Any] = ()) -> dict[str, Any]:
    moment = Moment(9.0, time.time())
    seen = describe(settings(), State(), Assessment({}), readings(), pause=None, moment=moment, steps={})
    found = {"state": state, "problems": [*problems], "diagnosed": moment.wall, "diagnosis": {"raised": [*raised]}}
    return {**seen, **found}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cli, "become", lambda _user: None)
    path = tmp_path / "watchdog.json"
    path.write_text(json.dumps(settings_content(tmp_path)))
    return path


FULL, RESTARTS = _found("disk./", "warning"), _found("processes.restarts.0", "warning")


@pytest.mark.parametrize(
    ("status", "level", "head"),
    [
        (_status("healthy"), "ok", "HEALTHY since"),
        (_status("healthy", [_open("diagnose.disk./", "warning")], [FULL]), "warning", "WARNING, serving since"),
        (_status("healthy", [_open("diagnose.disk./", "critical")]), "critical", "CRITICAL, serving since"),
        # what the watchdog judges itself, and what is for information
        (_status("healthy", raised=[RESTARTS]), "warning", "WARNING, serving since"),
        (_status("healthy", [_open("service.release", "info")]), "ok", "HEALTHY since"),
        # what the host was too busy to ask is no problem
        (_status("healthy", raised=[_found("database", "unknown")]), "ok", "HEALTHY since"),
        (_status("paused"), "warning", "PAUSED until `resume` since"),
        (_status("suspect"), "warning", "SUSPECT since"),
        (_status("recovering"), "critical", "RECOVERING since"),
        (_status("exhausted", [_open("diagnose.disk./", "warning")]), "critical", "EXHAUSTED since"),
    ],
)
def test_all_say_the_same(
    status: dict[str, Any], level: str, head: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "status.json").write_text(json.dumps(status))
    assert cli.main(str(config), ["status"]) == ["ok", "warning", "critical"].index(level)
    shown = capsys.readouterr().out
    assert f": {head}" in shown.splitlines()[0]
    known = [finding for finding in status["diagnosis"]["raised"] if finding["status"] != "unknown"]
    assert all(finding["check"] in shown for finding in known)

    (metric,) = (metric for metric in metrics_of(status) if metric.name == "level")
    assert [labels["level"] for labels, value in metric.samples if value] == [level]

    findings = [{**finding, "message": ""} for finding in known]
    facts = Facts("shop", "web1", time.time(), status, findings, {}, [], {"day": {}, "weeks": {}})
    assert f">{WORDS[level]}</p>" in Page(facts, "en").render()
