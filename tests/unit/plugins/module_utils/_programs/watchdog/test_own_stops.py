# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a recovery step stopped and did not start again, against what an operator stopped.

PM2 is one of the tests' own: it does what a step asks for, or fails at it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import HUNG, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import loop, remedies
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.answers import WorkersReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.judge import judge
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.loop import Watch
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import (
    SERVICE,
    Condition,
    Inhibition,
    OwnStop,
    Remedy,
    Step,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.own_stops import lasting, noted
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.readings import Readings, Worker
from watch_samples import APP, GONE, Listener, process, readings, settings, worker

# the processes of the samples were started at 1000
BOTH = (OwnStop(0, 1500.0), OwnStop(1, 1500.0))
STOPPED = (worker(0, "stopped"), worker(1, "stopped"))
TOO_LONG = Pm2Error("`pm2 restart` did not finish within 120 s")


def restarted(one: Worker) -> Worker:
    """Another process of the same worker, which was started after the step."""
    return dataclasses.replace(one, process=dataclasses.replace(one.process, started_at=1500.2))


def service(
    workers: tuple[Worker, ...], stops: tuple[OwnStop, ...] = BOTH
) -> tuple[Condition | None, Inhibition | None]:
    answers = WorkersReading({one.process.pid: "" for one in workers if one.process.pid})
    seen = judge(readings(workers=workers, answers=answers), settings(), False, stops)
    return seen.conditions[SERVICE], seen.inhibitions[SERVICE]


def test_workers_that_a_step_has_stopped_are_missing() -> None:
    condition, inhibition = service(STOPPED)
    assert condition is not None
    assert inhibition is None
    assert (condition.code, condition.severity, condition.workers) == ("worker_missing", "critical", (0, 1))
    assert condition.escalation == (
        *(Remedy.RESTART_WORKER, Remedy.RESTART_APP),
        *(Remedy.RECREATE_APP, Remedy.RESTART_DAEMON),
    )
    assert condition.message == "no worker runs (worker 0 stopped by a recovery step, 1 stopped by a recovery step)"


def test_one_that_a_step_has_stopped_is_missing_beside_those_that_serve() -> None:
    condition, inhibition = service((worker(0), worker(1, "stopped")))
    assert condition is not None
    assert inhibition is None
    assert (condition.code, condition.severity, condition.workers) == ("worker_missing", "warning", (1,))
    assert condition.escalation == (Remedy.RESTART_WORKER,)
    assert condition.message == "worker 1 (process none) was stopped by a recovery step that did not start it again"


@pytest.mark.parametrize(
    ("workers", "stops"),
    [
        (STOPPED, ()),
        (STOPPED, BOTH[1:]),
        (tuple(map(restarted, STOPPED)), BOTH),
        ((restarted(STOPPED[0]), STOPPED[1]), BOTH),
    ],
    ids=["no step", "a step stopped one of them", "both were started since", "one was started since"],
)
def test_what_no_step_has_stopped_an_operator_has(workers: tuple[Worker, ...], stops: tuple[OwnStop, ...]) -> None:
    _condition, inhibition = service(workers, stops)
    assert inhibition is not None
    assert inhibition.code == "stopped_by_operator"


def test_one_that_an_operator_has_stopped_among_others_is_not_missing() -> None:
    assert service((worker(0), restarted(worker(1, "stopped")))) == (None, None)


@pytest.mark.parametrize("status", ["online", "launching", "waiting restart", "errored"])
def test_a_worker_that_was_seen_in_another_state_is_not_stopped_by_a_step_any_more(status: str) -> None:
    assert lasting(BOTH, readings(workers=(worker(0, "stopping"), worker(1, status)))) == BOTH[:1]


def test_what_is_not_seen_stays_as_it_was_and_what_is_gone_does_not() -> None:
    assert lasting(BOTH, readings(workers=(), daemon=DaemonReading(HUNG, "no answer"))) == BOTH
    assert lasting(BOTH, readings(workers=())) == ()


def test_the_last_stop_of_a_worker_counts() -> None:
    assert noted(BOTH, (1, 2), 1600.0) == (BOTH[0], OwnStop(1, 1600.0), OwnStop(2, 1600.0))


class Pm2:
    """Two workers, on whose sockets nothing listens; and the seconds that pass between the probes."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.workers = {0: process(0), 1: process(1)}
        self.commands: list[str] = []
        self.starts: tuple[int, ...] = ()
        """Those that `pm2 restart` starts, before it fails."""
        self.fails: BaseException | None = TOO_LONG

    def stop(self, number: int) -> None:
        self.workers[number] = dataclasses.replace(self.workers[number], status="stopped", pid=None)

    def run(self, *arguments: str) -> str:
        self.commands.append(" ".join(arguments))
        for number in self.starts:
            self.workers[number] = dataclasses.replace(process(number), pid=200 + number, started_at=time.time() + 1)
        if self.fails:
            raise self.fails
        return ""

    def read(self) -> Readings:
        found = tuple(self._worker(one) for one in self.workers.values())
        answers = {one.process.pid: "" for one in found if one.process.pid and one.process.pid >= 200}
        return readings(now=self.now, workers=found, answers=WorkersReading(answers, () if answers else (GONE, GONE)))

    def _worker(self, one: Pm2Process) -> Worker:
        return dataclasses.replace(worker(one.pm_id, one.status), process=one)


@pytest.fixture
def pm2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pm2:
    for name in ("events", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "ecosystem.config.cjs").touch()
    (tmp_path / "active").symlink_to("1a2b3c")
    own = Pm2()
    monkeypatch.setattr(loop.proc, "uptime", lambda: own.now)
    monkeypatch.setattr(remedies, "_NOTICE_SECONDS", 0)
    monkeypatch.setattr(remedies, "kill", lambda _pid, _started: True)
    monkeypatch.setattr(remedies, "stop_worker", lambda _client, number, _seconds: own.stop(number))
    monkeypatch.setattr(Pm2Client, "run", lambda _client, *arguments: own.run(*arguments))
    monkeypatch.setattr(remedies, "processes_of", lambda _client: tuple(own.workers.values()))
    return own


def watch(directory: Path, own: Pm2, monkeypatch: pytest.MonkeyPatch) -> Watch:
    one = Watch(settings(directory), Listener())
    monkeypatch.setattr(one._reader, "read", lambda _now, _suspect: own.read())
    return one


def rounds(one: Watch, own: Pm2, seconds: float = 60.0) -> None:
    until = own.now + seconds
    while own.now < until:
        own.now += 5
        one.round()


def until_a_step(one: Watch, own: Pm2) -> None:
    while not own.commands:
        rounds(one, own, 5)


def steps(directory: Path) -> list[str]:
    entries = map(json.loads, (directory / "recovery.log").read_text().splitlines())
    return [entry["code"] for entry in entries if entry["kind"] == "action"]


def inhibited_by(one: Watch) -> str:
    return one._state.targets[SERVICE].inhibited_by


@pytest.mark.parametrize("new", [False, True], ids=["the same watchdog", "another one after it"])
def test_after_a_restart_that_failed_recovery_goes_on(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    one = watch(tmp_path, pm2, monkeypatch)
    until_a_step(one, pm2)
    assert {found.status for found in pm2.workers.values()} == {"stopped"}
    if new:
        one = watch(tmp_path, pm2, monkeypatch)
    pm2.starts, pm2.fails = (0, 1), None
    rounds(one, pm2)
    assert steps(tmp_path) == ["restart_app", "recreate_app"]
    assert pm2.commands == [f"restart {APP}", f"delete {APP}", f"start {tmp_path}/ecosystem.config.cjs --only {APP}"]
    assert one._state.targets[SERVICE].phase == "healthy"
    assert one._state.own_stops == ()


def test_a_watchdog_that_is_ended_in_the_middle_of_a_restart_leaves_it_to_the_next_one(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch
) -> None:
    pm2.fails = SystemExit(0)
    with pytest.raises(SystemExit):
        until_a_step(watch(tmp_path, pm2, monkeypatch), pm2)
    assert {found.status for found in pm2.workers.values()} == {"stopped"}
    pm2.starts, pm2.fails = (0, 1), None
    rounds(watch(tmp_path, pm2, monkeypatch), pm2)
    assert steps(tmp_path) == ["recreate_app"]
    assert {found.status for found in pm2.workers.values()} == {"online"}


def test_where_a_restart_has_started_some_workers_the_others_are_started_as_well(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch
) -> None:
    pm2.starts = (0,)
    one = watch(tmp_path, pm2, monkeypatch)
    until_a_step(one, pm2)
    pm2.starts, pm2.fails = (1,), None
    rounds(one, pm2)
    assert pm2.commands == [f"restart {APP}", "restart 1"]
    assert one._state.targets[SERVICE].phase == "healthy"


def test_one_that_an_operator_had_stopped_before_does_not_keep_the_others_from_being_started(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart of the app starts all of its workers."""
    pm2.stop(1)
    one = watch(tmp_path, pm2, monkeypatch)
    until_a_step(one, pm2)
    pm2.starts, pm2.fails = (0, 1), None
    rounds(one, pm2)
    assert steps(tmp_path) == ["restart_app", "recreate_app"]


def test_a_restart_of_one_worker_is_noted_too(tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch) -> None:
    """PM2 stops it and can't fork where there is no memory."""
    one = watch(tmp_path, pm2, monkeypatch)
    hung = Condition(Code.WORKER_HUNG, "worker 1 does not answer", (Remedy.RESTART_WORKER,), (1,), "warning")
    one._act(Step(SERVICE, Remedy.RESTART_WORKER, hung, 1), pm2.read())
    assert pm2.commands == ["restart 1"]
    assert [stop.worker for stop in one._state.own_stops] == [1]


@pytest.mark.parametrize("fails", [None, TOO_LONG], ids=["a restart that succeeded", "one that started some workers"])
def test_an_operators_stop_after_a_restart_stays_one(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch, fails: Pm2Error | None
) -> None:
    """Before the next probe, which is when nobody has seen yet what the step has started."""
    pm2.starts, pm2.fails = (0,) if fails else (0, 1), fails
    one = watch(tmp_path, pm2, monkeypatch)
    until_a_step(one, pm2)
    for number in pm2.workers:
        pm2.stop(number)
    rounds(one, pm2)
    assert steps(tmp_path) == ["restart_app"]
    assert inhibited_by(one) == "stopped_by_operator"


def test_an_operators_stop_that_keeps_a_step_from_its_begin_stays_one(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds PM2's lock; and a watchdog that meets it there has stopped nothing."""
    one = watch(tmp_path, pm2, monkeypatch)
    with one._settings.client.lock():
        rounds(one, pm2, 15)
    assert steps(tmp_path) == ["restart_app"]
    for number in pm2.workers:
        pm2.stop(number)
    rounds(one, pm2)
    assert (pm2.commands, inhibited_by(one)) == ([], "stopped_by_operator")


def test_an_operators_stop_of_workers_that_were_seen_online_after_a_step_stays_one(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step was about to stop them and failed at that: what runs on may be stopped by an operator long after."""
    monkeypatch.setattr(remedies, "stop_worker", lambda _client, _number, _seconds: None)
    one = watch(tmp_path, pm2, monkeypatch)
    until_a_step(one, pm2)
    assert [stop.worker for stop in one._state.own_stops] == [0, 1]
    rounds(one, pm2, 5)
    for number in pm2.workers:
        pm2.stop(number)
    rounds(one, pm2)
    assert (steps(tmp_path), inhibited_by(one)) == (["restart_app"], "stopped_by_operator")


@pytest.mark.parametrize(("planned", "commands"), [(1, []), (2, []), (3, [f"scale {APP} 3"])])
def test_as_many_workers_are_made_as_are_declared_of_what_is_active(
    tmp_path: Path, pm2: Pm2, monkeypatch: pytest.MonkeyPatch, planned: int, commands: list[str]
) -> None:
    pm2.workers = {number: dataclasses.replace(process(number), pid=200 + number) for number in (0, 1)}
    one = watch(tmp_path, pm2, monkeypatch)
    pm2.starts, pm2.fails = (), None
    monkeypatch.setattr(one._reader, "read", lambda _now, _suspect: dataclasses.replace(pm2.read(), planned=planned))
    rounds(one, pm2)
    assert pm2.commands[:1] == commands
