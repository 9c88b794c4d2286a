# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the command shows of the files that the watchdog writes, and takes from people."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import cli
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import WorkersReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    PROXY,
    SERVICE,
    Assessment,
    Condition,
    Inhibition,
    Problem,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.state_machine import Open, State
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.status import Moment, describe
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.table import as_table
from watch_samples import readings, settings, settings_content, worker


def command(config: Path, *arguments: str) -> int:
    """As the present user: becoming the service's is for the host's tests."""
    return cli.main(str(config), arguments)


@pytest.fixture(autouse=True)
def stay_the_same_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "become", lambda _user: None)


def test_what_is_over_was_reported_in_full_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "watchdog.json"
    config.write_text(json.dumps(settings_content(tmp_path)))
    event = {"kind": "resolved", "key": "service", "code": "worker_hung", "message": "over after 11 s: worker 0: late"}
    (tmp_path / "monitor.log").write_text(json.dumps({"time": 1764100000.0, **event}) + "\n")
    command(config, "history")
    assert capsys.readouterr().out.endswith("  resolved  service: worker_hung is over after 11 s\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing happened yet: the watchdog of shop has neither done nor reported anything\n"),
        (["--json"], ""),
    ],
)
def test_the_history_of_a_new_host_says_that_nothing_happened(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "watchdog.json"
    config.write_text(json.dumps(settings_content(tmp_path)))
    assert command(config, "history", *arguments) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("count", ["0", "-5", "abc", "1e3"])
def test_a_wrong_number_of_entries_is_named(count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(tmp_path / "watchdog.json", "history", f"--count={count}")
    assert f"argument --count: {count!r} is not a number of entries, from 1 on" in capsys.readouterr().err


def test_the_command_shows_each_worker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "watchdog.json"
    config.write_text(json.dumps(settings_content(tmp_path)))
    silent, waiting = worker(1), worker(2, "waiting restart")
    seen = readings(
        workers=(worker(0), silent, waiting), answers=WorkersReading({100: "calls itself ill"}, answer_ms={100: 12.5})
    )
    moment = Moment(5000.0, time.time())
    status = describe(settings(), State(), Assessment({}), seen, pause=None, moment=moment, steps={})
    (tmp_path / "status.json").write_text(json.dumps(status))
    assert command(config, "status") == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "  worker" in line] == [
        "used      worker 0  ##..................  10.0 % of 1000 MB, process 100, online, calls itself ill",
        "used      worker 1  ##..................  10.0 % of 1000 MB, process 101, online, no answer",
        "warning   worker 2  no process, waiting restart",
    ]
    status["limits"]["memory"] = None
    status["readings"]["workers"][0]["problem"] = ""
    (tmp_path / "status.json").write_text(json.dumps(status))
    command(config, "status")
    assert "ok        worker 0  process 100, online, 100 MB, answers in 12 ms\n" in capsys.readouterr().out


def test_what_a_worker_has_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "watchdog.json"
    config.write_text(json.dumps(settings_content(tmp_path)))
    said = "/health answered 503"
    seen = readings(workers=(worker(0),), answers=WorkersReading({100: said}, answer_ms={100: 12.5}))
    assessment = Assessment({SERVICE: Condition(Code.UNHEALTHY, f"worker 0: {said}", ())})
    found = describe(settings(), State(), assessment, seen, pause=None, moment=Moment(5000.0, time.time()), steps={})
    (tmp_path / "status.json").write_text(json.dumps(found))
    command(config, "status")
    shown = capsys.readouterr().out
    assert shown.count(said) == 1
    assert "process 100, online, unhealthy\n" in shown


def test_the_command_names_the_check_of_each_problem_once_and_in_the_words_of_the_last_probe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "watchdog.json"
    config.write_text(json.dumps(settings_content(tmp_path)))
    reported = [
        Problem("diagnose.disk", Code.FINDING, "warning", "91 % is used"),
        Problem("service", Code.WORKER_HUNG, "critical", "worker 3 did not answer"),
        Problem("service.database_down", Code.DATABASE_DOWN, "critical", "the database is down"),
        Problem("service.budget", Code.BUDGET_SPENT, "critical", "5 recovery steps did not help"),
        Problem("proxy", Code.PROXY_HUNG, "critical", "Nginx hangs (it comes and goes)"),
        Problem("proxy.proxy_wrong", Code.PROXY_WRONG, "critical", "Nginx answers 404"),
    ]
    flapping = Problem("proxy.proxy_wrong", Code.PROXY_WRONG, "critical", "Nginx answers 404", seen=False)
    seen = Assessment(
        {SERVICE: Condition(Code.NO_ANSWER, "no worker answers", ()), PROXY: None},
        {SERVICE: Inhibition(Code.DATABASE_DOWN, "the database is the cause", "critical")},
        (Problem("diagnose.disk", Code.FINDING, "warning", "93 % is used"), flapping),
        diagnosed=4990.0,
    )
    state = State(problems={problem.key: Open(problem, 4000.0) for problem in reported})
    found = describe(settings(), state, seen, readings(), pause=None, moment=Moment(5000.0, time.time()), steps={})
    (tmp_path / "status.json").write_text(json.dumps(found))
    command(config, "status")
    shown = capsys.readouterr().out
    assert [shown.count(text) for text in ("worker 3", "no worker answers", "the database is")] == [0, 1, 1]
    listed = [line.partition(" 20")[0] for line in shown.splitlines()[1:] if "  worker" not in line]
    assert [re.split(r" {2,}", line) for line in listed] == [
        ["critical", "service", "healthy: no worker answers"],
        ["", "service", "no action is taken: the database is the cause"],
        ["open", "proxy, proxy.proxy_wrong", "critical since"],
        ["critical", "service.budget", "5 recovery steps did not help"],
        ["warning", "disk", "93 % is used"],
        ["", "diagnosed at"],
        ["used", "steps", "....................", "0.0 % of 5: service 0, proxy 0 within 15 minutes"],
        ["ok", "proxy"],
    ]
    assert shown.count(", not seen by the last probe\n") == 1
    assert "; shop-diagnose looks again\n" in shown


def test_states_and_levels_have_colours_where_somebody_looks() -> None:
    problem = Problem("diagnose.disk", Code.FINDING, "warning", "91 %\x1b[2J is used")
    state, moment = State(problems={problem.key: Open(problem, 4000.0)}), Moment(5000.0, time.time())
    found = describe(
        settings(),
        state,
        Assessment({}, {}, (problem,), diagnosed=1.0),
        readings(),
        pause=None,
        moment=moment,
        steps={},
    )
    plain, coloured = as_table(found, coloured=False), as_table(found, coloured=True)
    assert "\x1b" not in plain
    assert "\x1b[33mWARNING, serving\x1b[0m since" in coloured
    assert "\x1b[33mwarning \x1b[0m  disk" in coloured
    assert coloured.count("\x1b[2J") == 0


@pytest.mark.parametrize(
    ("age", "lag", "shown"),
    [(10.0, 9_999.0, 9_999.0), (10.0, 10_001.0, None), (9000.0, 515_099.0, None), (9000.0, math.nan, None)],
)
def test_an_event_loop_is_not_later_than_can_be(age: float, lag: float, shown: float | None) -> None:
    process = dataclasses.replace(worker(0).process, event_loop_p50=None, event_loop_p95=lag)
    seen = readings(workers=(dataclasses.replace(worker(0), process=process, age=age),))
    found = describe(settings(), State(), Assessment({}), seen, pause=None, moment=Moment(5000.0, 9.0), steps={})
    assert found["readings"]["workers"][0]["event_loop_ms"] == {"p50": None, "p95": shown}


@pytest.mark.parametrize("duration", ["", "0m", "5", "5 m", "-5m", "1w", "99999999m"])
def test_a_pause_of_no_time_is_refused(tmp_path: Path, duration: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command(tmp_path / "watchdog.json", "pause", "--for", duration)
    assert end.value.code == 2
    assert "such as 90s, 30m, 2h or 1d" in capsys.readouterr().err or duration.startswith("-")
