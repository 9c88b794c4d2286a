# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says of what took too long: that it hangs, or that this host had no time for it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, UNKNOWN, Finding
from ansible_collections.workbot.stability.plugins.module_utils._host.accounts import user_name
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error, Pm2TimeoutError
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose import cli, runner
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.samples import Samples

CHECKS: dict[str, runner.Check] = {}


class Busy(runner.OwnWaiting):
    """A host whose other programs take the processors."""

    def share(self) -> float:
        return 0.834

    def starved(self) -> bool:
        return True


SLOW_UNITS = UnitError("systemctl can't be asked: no answer within 5 s")
SLOW_UNITS.__cause__ = subprocess.TimeoutExpired("systemctl", 5)


def check(function: runner.Check) -> runner.Check:
    CHECKS[function.__name__] = function
    return function


@check
def hangs(_context: runner.Context) -> list[Finding]:
    time.sleep(30)
    return []


@check
def silent(_context: runner.Context) -> list[Finding]:
    return [Finding("silent.a", CRITICAL, "no answer within 1 s", timed=True), Finding("silent.b", OK, "", timed=True)]


@check
def refused(_context: runner.Context) -> list[Finding]:
    return [Finding("refused", CRITICAL, "nothing listens there")]


@check
def pm2_hangs(_context: runner.Context) -> list[Finding]:
    raise Pm2TimeoutError("no answer on rpc.sock within 1 s")


@check
def systemd_hangs(_context: runner.Context) -> list[Finding]:
    raise SLOW_UNITS


@check
def pm2_absent(_context: runner.Context) -> list[Finding]:
    raise Pm2Error("no PM2 daemon runs")


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    files = {name: str(tmp_path / name) for name in ("state_file", "days_file")}
    return {"service": "app", "user": user_name(os.getuid()), "timeout_ms": 300, **files}


@pytest.fixture
def found(config: dict[str, Any]) -> Callable[..., dict[str, Finding]]:
    def run(checks: dict[str, runner.Check] | None = None) -> dict[str, Finding]:
        context = runner.Context(config, Samples(Path(config["state_file"])))
        return {finding.check: finding for finding in runner.run_checks(checks or CHECKS, context)}

    return run


def statuses(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.status for name, finding in findings.items()}


def test_what_takes_too_long_hangs(found: Callable[..., dict[str, Finding]]) -> None:
    bad = ("hangs", "silent.a", "refused", "pm2_hangs", "systemd_hangs", "pm2_absent")
    assert statuses(found()) == dict.fromkeys(bad, CRITICAL) | {"silent.b": OK}


def test_what_takes_too_long_on_a_busy_host_is_not_known_and_one_finding_says_why(
    found: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "OwnWaiting", Busy)
    findings = found()
    unknown = ("hangs", "silent.a", "pm2_hangs", "systemd_hangs")
    known = {"silent.b": OK, "refused": CRITICAL, "pm2_absent": CRITICAL, "processors": "warning"}
    assert statuses(findings) == dict.fromkeys(unknown, UNKNOWN) | known
    assert [findings[name].message for name in unknown] == [
        f"{name} is not known: the host was too busy to ask in time. See the check processors." for name in unknown
    ]
    busy = findings["processors"]
    assert (busy.value, busy.threshold, busy.unit) == (83, 50, "%")
    assert busy.message.startswith("other programs take the processors: 83 % of the time this diagnosis waited for one")
    assert "`top`" in busy.message


def test_a_busy_host_that_answers_in_time_is_judged_by_its_answers(
    found: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "OwnWaiting", Busy)
    assert statuses(found({"refused": refused})) == {"refused": CRITICAL}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_command_tells_what_is_not_known(
    arguments: list[str],
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runner, "OwnWaiting", Busy)
    monkeypatch.setattr(cli, "CHECKS", {"disk": hangs})
    path = tmp_path / "diagnose.json"
    path.write_text(json.dumps({**config, "timeout_ms": 25_000}))
    started = time.monotonic()
    assert cli.main(str(path), ["--read-only", "--timeout", "0.2", *arguments]) == 3
    assert time.monotonic() - started < 15
    shown = capsys.readouterr().out
    if arguments:
        assert json.loads(shown)["status"] == UNKNOWN
    else:
        assert ": UNKNOWN (0 critical, 1 unknown, 1 warning, 0 ok)" in shown
