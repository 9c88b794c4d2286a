# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog makes of the diagnosis command's findings, with commands of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import diagnosis as module
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import readings
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.diagnosis import (
    NOT_KNOWN,
    DatabaseAnswer,
    Diagnosis,
    ask_database,
    problems_of,
    summary,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Problem
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.readings import DatabaseReader
from watch_samples import settings


def test_a_database_that_is_down_is_distinguished_from_one_that_is_full(tmp_path: Path) -> None:
    findings = [
        finding("database", "critical"),
        finding("database.connections", "critical"),
        finding("database.certificate", "warning"),
    ]
    command = tmp_path / "diagnose"
    command.write_text(f"#!/bin/sh\necho '{json.dumps({'findings': findings})}'\n")
    command.chmod(0o755)
    assert ask_database(str(command)) == DatabaseAnswer("about database", "about database.connections")
    assert ask_database("/bin/false") == DatabaseAnswer()


def finding(check: str, status: str, **values: Any) -> dict[str, Any]:
    return {"check": check, "status": status, "message": f"about {check}", **values}


def test_the_diagnosis_reports_what_the_watchdog_does_not_judge_itself() -> None:
    found = [
        finding("disk./", "warning", value=91, threshold=85, unit="%"),
        finding("disk./srv", "ok"),
        finding("health.http", "critical"),
        finding("processes", "critical"),
        finding("proxy", "critical"),
        finding("units.shop@a@2.service", "critical"),
        finding("units.shop@*.service", "critical"),
        finding("units.shop2@a.service", "critical"),
        finding("units.cron.service", "critical"),
        finding("nginx", "critical"),
        finding("nginx.old", "warning"),
        finding("event_loop", "critical", unit="workers"),
        finding("event_loop.0", "critical", unit="answers"),
        finding("event_loop.1", "warning", unit="ms"),
        finding("websocket", "critical"),
    ]
    problems = problems_of(found, ("shop@.service", "nginx.service"))
    assert [(problem.key, problem.severity) for problem in problems] == [
        ("diagnose.disk./", "warning"),
        ("diagnose.units.shop2@a.service", "critical"),
        ("diagnose.units.cron.service", "critical"),
        ("diagnose.nginx.old", "warning"),
        ("diagnose.event_loop.1", "warning"),
        ("diagnose.websocket", "critical"),
    ]
    assert problems[0].values == {"check": "disk./", "value": 91, "threshold": 85, "unit": "%"}


def test_the_diagnosis_runs_again_when_its_settings_have_changed(tmp_path: Path) -> None:
    """What it found by the former ones would be shown for five minutes more."""
    config, command = tmp_path / "diagnose.json", tmp_path / "diagnose"
    config.write_text("websocket")
    report = json.dumps({"findings": [finding("CHECK", "critical")]}).replace("CHECK", "$(cat " + str(config) + ")")
    command.write_text(f"#!/bin/sh\ncat <<end\n{report}\nend\n")
    command.chmod(0o755)
    diagnosis = Diagnosis(
        settings(tmp_path, diagnosis_interval=300, diagnose_command=str(command), diagnose_config=str(config))
    )

    def found(now: float) -> list[str]:
        diagnosis.tick(now, healthy=True)
        if diagnosis._run:
            diagnosis._run.result(timeout=30)
        return [problem.key for problem in diagnosis.problems]

    assert (found(1000.0), diagnosis.ended) == ([], None)
    assert found(1299.0) == []
    assert found(1300.0) == ["diagnose.websocket"]
    assert diagnosis.ended is not None
    config.write_text("disk")
    assert found(1301.0) == ["diagnose.disk"]
    ended = diagnosis.ended
    assert found(1302.0) == ["diagnose.disk"]
    config.unlink()
    assert (found(1303.0), diagnosis.ended) == (["diagnose.disk"], ended)


class Command:
    """A diagnosis command that says what it is given."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "diagnose"
        self.says()

    def says(self, *findings: dict[str, Any], before: str = "") -> None:
        self.path.write_text(f"#!/bin/sh\n{before}\necho '{json.dumps({'findings': findings})}'\n")
        self.path.chmod(0o755)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


class Runs:
    """A diagnosis whose runs have ended when they are looked at. Times are in seconds since boot."""

    def __init__(self, command: Command, *known: Problem) -> None:
        self.diagnosis = Diagnosis(settings(diagnosis_interval=300, diagnose_command=str(command.path)), known)

    def at(self, now: float) -> dict[str, bool]:
        """The open problems, and whether the last run has seen each."""
        self.diagnosis.tick(now, healthy=True)
        if self.diagnosis._run:
            self.diagnosis._run.result(timeout=30)
        return {problem.key.removeprefix("diagnose."): problem.seen for problem in self.diagnosis.problems}


def test_a_problem_that_is_over_is_seen_within_a_minute(command: Command) -> None:
    runs = Runs(command)
    command.says(finding("disk./srv", "warning"))
    assert (runs.at(1000.0), runs.at(1300.0)) == ({}, {"disk./srv": True})
    command.says(finding("disk./srv", "ok"))
    assert runs.at(1349.0) == {"disk./srv": True}
    assert runs.at(1350.0) == {}
    command.says(finding("disk./srv", "warning"))
    assert runs.at(1600.0) == {}


def test_what_is_not_known_is_neither_a_problem_nor_the_end_of_one(command: Command) -> None:
    runs = Runs(command)
    command.says(finding("disk./srv", "warning"), finding("clock", "warning"), finding("logs", "unknown"))
    assert (runs.at(1000.0), runs.at(1300.0)) == ({}, {"disk./srv": True, "clock": True})
    command.says(finding("disk", "unknown"), finding("processors", "warning"))
    assert runs.at(1400.0) == {"processors": True, "disk./srv": False}
    command.says()
    assert runs.at(1500.0) == {}


def test_how_long_the_certificate_lasts_is_kept_from_run_to_run(command: Command) -> None:
    runs = Runs(command)
    command.says(finding("certificates", "warning", value=20.5, unit="days"))
    assert runs.diagnosis.found is None
    runs.at(1000.0)
    runs.at(1300.0)
    assert (runs.diagnosis.found and runs.diagnosis.found.certificate_days) == 20.5
    # what can't be read has no end
    command.says(finding("certificates", "critical"))
    runs.at(1400.0)
    assert (runs.diagnosis.found and runs.diagnosis.found.certificate_days) is None


def test_what_was_found_stays_until_another_run_finds_something(command: Command) -> None:
    runs = Runs(command)
    command.says(finding("clock", "warning"))
    runs.at(1000.0)
    runs.at(1300.0)
    found, ended = runs.diagnosis.found, runs.diagnosis.ended
    command.path.write_text("#!/bin/false\n")
    runs.at(1400.0)
    assert runs.diagnosis.found is found
    assert found is not None
    assert found.ended == ended != runs.diagnosis.ended


def test_the_findings_are_counted_and_those_that_are_not_ok_are_named() -> None:
    found = summary(
        [
            finding("connections.budget", "ok", value=50, threshold=97, unit="connections"),
            finding("connections.open", "ok", value=12.5, threshold=80, unit="%"),
            finding("connections.of.shop", "warning", value=11, threshold=10, unit="connections"),
            finding("connections.of.kiosk", "ok", value=3, threshold=10, unit="connections"),
            finding("health", "critical"),
            finding("clock", "unknown"),
            finding("backup.newest", "ok", value=5.5, unit="hours"),
            finding("backup.restore", "ok"),
            {"check": "odd", "status": ["ok"]},
        ],
        "shop",
        5000.0,
    )
    assert found.counts == {"ok": 5, "warning": 1, "unknown": 1, "critical": 1}
    assert found.raised == (
        {"check": "connections.of.shop", "status": "warning"},
        {"check": "health", "status": "critical"},
        {"check": "clock", "status": "unknown"},
    )
    assert (found.connections, found.connections_limit, found.server_connections_percent) == (11, 10, 12.5)
    assert found.certificate_days is None
    assert (found.backup_hours, found.proof_days) == (5.5, None)


def test_a_flood_of_findings_is_cut_and_odd_values_are_none() -> None:
    many = [finding(f"logs.{number}.log", "warning") for number in range(5000)]
    odd = finding("connections.of.shop", "ok", value="many", threshold=[10], unit="connections")
    found = summary([*many, odd], "shop", 5000.0)
    assert (found.counts["warning"], len(found.raised)) == (5000, 100)
    assert (found.connections, found.connections_limit) == (None, None)


def test_a_diagnosis_that_gives_nothing_ends_no_problem(command: Command) -> None:
    runs = Runs(command)
    command.says(finding("clock", "warning"))
    runs.at(1000.0)
    runs.at(1300.0)
    command.path.write_text("#!/bin/false\n")
    assert runs.at(1400.0) == {"clock": True, "failed": True}
    assert runs.at(1500.0) == {"clock": True, "failed": True}
    command.says(finding("clock", "warning"))
    assert runs.at(1600.0) == {"clock": True}


OPEN = Problem("diagnose.clock", Code.FINDING, "warning", "about clock")


def test_what_another_watchdog_left_open_stays_until_the_first_run(command: Command) -> None:
    runs = Runs(command, OPEN, Problem("service.crash_loop", Code.CRASH_LOOP, "critical", "5 restarts"))
    assert (runs.at(1000.0), runs.at(1049.0), runs.at(1050.0)) == ({"clock": False}, {"clock": False}, {})
    # a host that has just booted is not judged by it
    booted = Runs(command, OPEN)
    assert (booted.at(20.0), booted.at(200.0), booted.at(320.0)) == ({"clock": False}, {"clock": False}, {})
    assert Diagnosis(settings(diagnosis_interval=0), [OPEN]).problems == ()


def test_a_database_that_could_not_be_asked_is_not_known(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.says(finding("database", "unknown"), finding("processors", "warning"))
    assert ask_database(str(command.path)) == NOT_KNOWN
    monkeypatch.setattr(module, "_DATABASE_SECONDS", 0.3)
    command.says(before="sleep 1")
    assert ask_database(str(command.path)) == NOT_KNOWN
    command.says(finding("database", "ok"), before='[ "$*" = "--check database --json --timeout 8" ] || exit 1')
    monkeypatch.undo()
    assert ask_database(str(command.path)) == DatabaseAnswer()


@pytest.fixture
def reader(command: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseReader]:
    monkeypatch.setattr(readings, "_WAIT_SECONDS", 0.5)
    yield DatabaseReader(settings(database=True, diagnose_command=str(command.path)))


def asked(reader: DatabaseReader, now: float) -> DatabaseAnswer:
    reader.begin(now)
    assert reader._answer is not None
    reader._answer.exception(timeout=30)
    return reader.result(now)


def test_while_the_database_cannot_be_asked_what_was_known_of_it_counts(
    command: Command, reader: DatabaseReader
) -> None:
    assert reader.result(1000.0) == DatabaseAnswer()
    command.says(finding("database", "critical"))
    assert asked(reader, 1000.0) == DatabaseAnswer("about database")
    command.says(finding("database", "unknown"))
    assert asked(reader, 1299.0) == DatabaseAnswer("about database")
    assert asked(reader, 1310.0) == NOT_KNOWN
    # that it was well says nothing of what has happened since
    command.says(finding("database", "ok"))
    assert asked(reader, 2000.0) == DatabaseAnswer()
    command.says(finding("database", "unknown"))
    assert asked(reader, 2019.0) == DatabaseAnswer()
    assert asked(reader, 2030.0) == NOT_KNOWN


def test_a_question_that_takes_long_does_not_hold_up_the_probe(command: Command, reader: DatabaseReader) -> None:
    command.says(finding("database", "critical"), before="sleep 1")
    reader.begin(1000.0)
    assert reader.result(1000.0) == NOT_KNOWN
    assert asked(reader, 1005.0) == DatabaseAnswer("about database")
