# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog's loop: probe, judge, decide, report, act. One instance for each service, supervised by systemd."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..._host import proc
from ..._host.errors import StabilityError
from ..._host.processes import load_library
from ..._host.small_file import tail
from ..._pm2.client import grown
from ..codes import Code
from ..common import stamp
from . import state_files as keeper
from . import state_machine as machine
from .diagnosis import DIAGNOSE, Diagnosis
from .events import Outbox, append_line, as_record
from .flapping import Steady
from .judge import judge
from .model import SERVICE, Assessment, Event, Problem, Remedy, Step
from .own_stops import lasting, noted
from .readings import Reader, Readings
from .remedies import Actions
from .root_client import RENEW_ACTIVATION, act
from .settings import Settings
from .status import Moment, describe, publish

_KEEP_ALIVE_SECONDS = 5.0
_LONGEST_STEP = 300.0
# The helper only begins it.
_BEGINNING_SECONDS = 30.0
_CORRUPT_SECONDS = 600.0
_SUMMARY_SECONDS = 60.0
# Keys of what is wrong with the watchdog itself.
_CORRUPT = f"watchdog.{Code.STATE_CORRUPT}"
_UNREADABLE = f"watchdog.{Code.PAUSE_UNREADABLE}"
_OF_DATABASE = frozenset({Code.DATABASE_DOWN, Code.DATABASE_FULL, Code.DATABASE_LOCKED})
_DIAGNOSED_DATABASE = (f"{DIAGNOSE}database", f"{DIAGNOSE}connections.waiting", f"{DIAGNOSE}connections.open")
# Longer than any period: then the host slept, or the watchdog was not there.
_GAP_SECONDS = 60.0
_GLANCE_SECONDS = 1.0
_OWN_RESTARTS = frozenset(
    {Remedy.RELOAD_WORKER, Remedy.KILL_WORKER, Remedy.RESTART_WORKER, Remedy.RESTART_APP, Remedy.RECREATE_APP}
)


class Notifier:
    """Notifies systemd that the watchdog is alive; without systemd it notifies nobody."""

    def __init__(self) -> None:
        self._systemd = load_library("sdnotify", "python3-sdnotify").SystemdNotifier()

    def send(self, text: str) -> None:
        self._systemd.notify(text)

    @contextlib.contextmanager
    def kept_alive(self, limit: float) -> Iterator[None]:
        """While a long step is at work, but for no longer than `limit` seconds."""
        done = threading.Event()

        def work() -> None:
            deadline = time.monotonic() + limit
            while not done.wait(_KEEP_ALIVE_SECONDS) and time.monotonic() < deadline:
                self.send("WATCHDOG=1")

        threading.Thread(target=work, daemon=True, name="keep-alive").start()
        try:
            yield
        finally:
            done.set()


class Watch:
    def __init__(self, settings: Settings, notifier: Notifier, made_of: Sequence[Path] = ()) -> None:
        """`made_of`: the files of program and settings; when one is replaced, systemd is to start the new ones."""
        self._settings = settings
        self._made_of = {path: stamp(path) for path in made_of}
        self._notifier = notifier
        self._reader = Reader(settings)
        self._control = keeper.Control(Path(settings.state_directory))
        self._events = Path(settings.state_directory) / "events"
        self._outbox = Outbox(self._events)
        self._boot = proc.boot_id()
        self._own: dict[str, Problem] = {}
        """What is wrong with the watchdog itself, by key."""
        self._steps = Counter[Remedy]()
        """Since it was started."""
        self._corrupt_until = 0.0
        self._summary_at = 0.0
        self._probed_at = float("-inf")
        self._stop = threading.Event()
        self._at_length = False
        self._state = self._load()
        self._saved: machine.State | None = None
        known = [item.problem for item in self._state.problems.values()]
        self._diagnosis = Diagnosis(settings, known)
        self._steady = Steady(settings.failure_threshold, known, proc.uptime())
        self._reader.restarts.recall(self._state.restarts)

    def run(self) -> None:
        """Until SIGTERM, or until what it is made of was replaced: a run that was to restart it may have been ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._notifier.send("READY=1")
        while not self._stop.is_set() and not self._is_outdated():
            begun = time.monotonic()
            calm, acted = self._try_round()
            period = self._settings.period if calm else self._settings.suspect_period
            # what a step does shows only after a moment
            self._rest((time.monotonic() if acted else begun) + period)
        self._notifier.send("STOPPING=1")

    def _rest(self, until: float) -> None:
        """Until the next probe is due, a worker was seen twice that a signal has stopped, or a deployment has switched
        to other workers: nobody has looked at these.
        """
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(left, _GLANCE_SECONDS)):
            if self._reader.glance() or self._reader.has_switched():
                return

    def _is_outdated(self) -> bool:
        return any(stamp(path) not in (before, None) for path, before in self._made_of.items())

    def _try_round(self) -> tuple[bool, bool]:
        """A probe that fails in a way that nobody foresaw must not take what the watchdog knows with it.

        systemd is not notified then: when it goes on like that, it restarts the watchdog.
        """
        try:
            return self.round()
        except Exception:
            traceback.print_exc()
            return False, False

    def round(self) -> tuple[bool, bool]:
        """One probe and what follows from it.

        Returns whether the next one may wait for the whole period, and whether something was done.
        """
        now = proc.uptime()
        if now - self._probed_at > _GAP_SECONDS:
            self._state = machine.unwatched(self._state)
        if self._control.take_resume():
            self._resume(now)
        suspect = self._state.targets[SERVICE].phase is not machine.Phase.HEALTHY
        with self._ended_by_signal():
            readings = self._reader.read(now, suspect)
        self._note_restarts(readings)
        self._state = dataclasses.replace(self._state, own_stops=lasting(self._state.own_stops, readings))
        paused = self._paused()
        seen = self._assess(readings)
        self._diagnosis.tick(now, healthy=not any(seen.conditions.values()) and not any(seen.inhibitions.values()))
        turn = machine.turn(self._state, seen, now, self._settings, paused)
        with self._watched("watchdog.events_not_writable", Code.STATE_NOT_WRITABLE, self._events):
            self._outbox.flush()
        self._take(turn)
        self._publish(seen, readings)
        if turn.step:
            self._act(turn.step, readings)
            self._publish(seen, readings)
        elif not paused and not readings.changing:
            self._remove_surplus(readings)
            self._replace_grown(readings)
        self._notifier.send(f"WATCHDOG=1\nSTATUS={self._summary(seen)}")
        self._probed_at = proc.uptime()
        unhealthy = any(seen.conditions.values())
        calm = paused or not unhealthy or self._state.phase is machine.Phase.EXHAUSTED
        return calm, turn.step is not None

    def _paused(self) -> bool:
        """One that can't be read counts, and is reported: else it might never end."""
        pause = self._control.paused(time.time())
        self._own.pop(_UNREADABLE, None)
        if pause and pause.by == keeper.UNKNOWN:
            message = "recovery is paused by a pause.json that can't be read. `resume` ends the pause."
            self._own[_UNREADABLE] = Problem(_UNREADABLE, Code.PAUSE_UNREADABLE, "warning", message)
        return pause is not None

    def _resume(self, now: float) -> None:
        self._state = machine.resumed(self._state, now)
        message = "resumed by the operator, with the whole budget"
        record = {"kind": "resume", "key": "watchdog", "message": message, "boot": self._boot, "boottime": now}
        self._log(self._settings.recovery_log, record)

    def _assess(self, readings: Readings) -> Assessment:
        recovering = self._state.targets[SERVICE].phase is machine.Phase.RECOVERING
        seen = judge(readings, self._settings, recovering, self._state.own_stops)
        inhibition, contended = seen.inhibitions.get(SERVICE), readings.contention.problems()
        codes = {problem.code for problem in contended} | ({inhibition.code} if inhibition else set())
        found = [
            problem
            for problem in self._diagnosis.problems
            # said by what each probe asks of the database
            if not (codes & _OF_DATABASE and problem.key.startswith(_DIAGNOSED_DATABASE))
        ]
        if readings.now >= self._corrupt_until:
            self._own.pop(_CORRUPT, None)
        problems = (*self._steady.of(seen.problems, readings.now), *contended, *found, *self._own.values())
        diagnosis = self._diagnosis
        return dataclasses.replace(seen, problems=problems, diagnosed=diagnosis.ended, diagnosis=diagnosis.found)

    def _note_restarts(self, readings: Readings) -> None:
        """A single one is nothing to report, but to be found by who looks for it; many are a crash loop."""
        restarts = self._reader.restarts
        self._state = dataclasses.replace(self._state, restarts=restarts.times)
        if restarts.restarted and readings.restarts < self._settings.crash_loop_restarts:
            numbers = ", ".join(map(str, restarts.restarted))
            message = f"worker {numbers} ended unasked, and PM2 started it again: see the service's error log"
            self._log(self._settings.monitor_log, {"kind": "restart", "key": SERVICE, "message": message})

    def _act(self, step: Step, readings: Readings) -> None:
        self._state = machine.begin(self._state, step, proc.uptime(), self._settings)
        self._steps[step.remedy] += 1
        self._save()
        self._notifier.send(f"STATUS={step.remedy.value} because of {step.condition.code}")
        with self._ended_by_signal(), self._notifier.kept_alive(_LONGEST_STEP):
            outcome = Actions(self._settings, readings, self._note_stops).carry_out(step)
        if step.remedy is Remedy.RENEW_ACTIVATION:
            self._reader.note_renewal(readings.now)
        if outcome.done and step.remedy in _OWN_RESTARTS:
            self._reader.restarts.forgive(step.condition.workers or (worker.number for worker in readings.workers))
        self._take(machine.end(self._state, step, outcome, proc.uptime(), self._settings))

    def _note_stops(self, workers: Iterable[int]) -> None:
        """Saved at once: what ends the watchdog in the middle of the step leaves it to the next one."""
        stops = noted(self._state.own_stops, workers, time.time())
        self._state = dataclasses.replace(self._state, own_stops=stops)
        self._save()

    def _remove_surplus(self, readings: Readings) -> None:
        """Once for each. No recovery step: what serves goes on serving."""
        pids = self._reader.surplus.untried(readings.surplus)
        if not pids:
            return
        with self._ended_by_signal(), self._notifier.kept_alive(_LONGEST_STEP):
            asked = self._reader.surplus.remove(pids, [worker.number for worker in readings.workers])
        if not asked:
            return
        message = f"asked PM2 to end process {', '.join(map(str, pids))}, which it had lost from its list"
        self._emit(Event("action", f"{SERVICE}.{Code.REMOVE_SURPLUS}", Code.REMOVE_SURPLUS, "info", message))

    def _replace_grown(self, readings: Readings) -> None:
        """No recovery step either. Where it does not help, the diagnosis tells of it."""
        problem = grown(readings.daemon_mb)
        if not problem or not readings.renewable:
            return
        self._reader.note_renewal(readings.now)
        try:
            message, severity = act(self._settings.act_socket, RENEW_ACTIVATION, _BEGINNING_SECONDS), "info"
        except StabilityError as error:
            message, severity = f"{RENEW_ACTIVATION} failed: {error}", "warning"
        code = Code.RENEW_ACTIVATION
        self._emit(Event("action", f"{SERVICE}.{code}", code, severity, f"{problem}: {message}"))

    def _take(self, turn: machine.Turn) -> None:
        before, self._state = self._state, turn.state
        for event in turn.events:
            self._emit(event)
        for target, state in turn.state.targets.items():
            self._log_change("phase", target, before.targets[target].phase, state.phase)
            self._log_change("inhibition", target, before.targets[target].inhibited_by, state.inhibited_by)
        self._save()

    def _emit(self, event: Event) -> None:
        wall = time.time()
        # of a step it is the begin that counts against the budget
        target = self._state.targets.get(event.key.partition(".")[0])
        begun = target.actions[-1] if event.kind == "action" and target and target.actions else proc.uptime()
        record = {**as_record(event, wall), "boot": self._boot, "boottime": begun}
        log = self._settings.recovery_log if event.kind == "action" else self._settings.monitor_log
        self._log(log, record)
        with self._watched("watchdog.events_not_writable", Code.STATE_NOT_WRITABLE, self._events):
            self._outbox.put(event, wall)

    def _log_change(self, kind: str, target: str, before: str, after: str) -> None:
        if before != after:
            self._log(self._settings.monitor_log, {"kind": kind, "key": target, "from": before, "to": after})

    def _log(self, path: Path, record: dict[str, Any]) -> None:
        with self._watched(f"watchdog.{Code.LOG_NOT_WRITABLE}", Code.LOG_NOT_WRITABLE, path):
            append_line(path, {"time": round(time.time(), 3), **record})

    @contextlib.contextmanager
    def _watched(self, key: str, code: Code, path: Path) -> Iterator[None]:
        """What can't be written is a problem to be reported, and nothing that ends the watchdog."""
        try:
            yield
        except OSError as error:
            message = f"can't write {path}: {error.strerror}. Free space, or correct its owner."
            self._own[key] = Problem(key, code, "warning", message)
        else:
            self._own.pop(key, None)

    def _publish(self, seen: Assessment, readings: Readings) -> None:
        moment = Moment(proc.uptime(), time.time())
        pause = self._control.paused(moment.wall)
        status = describe(self._settings, self._state, seen, readings, pause=pause, moment=moment, steps=self._steps)
        with self._watched("watchdog.status_not_writable", Code.STATE_NOT_WRITABLE, self._settings.status_file):
            publish(self._settings.status_file, status)
        if moment.boot - self._summary_at >= _SUMMARY_SECONDS:
            self._summary_at = moment.boot
            record = {"time": status["time"], "kind": "reading", "state": status["state"], **status["readings"]}
            self._log(self._settings.monitor_log, record)

    def _summary(self, seen: Assessment) -> str:
        """For `systemctl status`, which every local user may ask: nothing that a worker says of itself."""
        found = [condition for condition in seen.conditions.values() if condition]
        return f"{self._state.phase}{': ' + found[0].code if found else ''}"

    def _load(self) -> machine.State:
        now = proc.uptime()
        logged = keeper.actions_of_log(
            tail(self._settings.recovery_log), self._boot, now, self._settings.restart_budget_window
        )
        try:
            state = keeper.load(self._settings.state_file, self._boot, now)
            return keeper.with_actions(state, logged)
        except StabilityError as error:
            message = str(error)
        except OSError as error:
            message = f"{self._settings.state_file} can't be read: {error.strerror}"
        self._corrupt_until = now + _CORRUPT_SECONDS
        self._own[_CORRUPT] = Problem(_CORRUPT, Code.STATE_CORRUPT, "warning", message)
        fresh = machine.State(keeper.targets_since(now), actions_total=sum(map(len, logged.values())))
        return keeper.with_actions(fresh, logged)

    def _save(self) -> None:
        if self._state == self._saved:
            return
        with self._watched(f"watchdog.{Code.STATE_NOT_WRITABLE}", Code.STATE_NOT_WRITABLE, self._settings.state_file):
            keeper.save(self._settings.state_file, self._state, self._boot)
            self._saved = self._state

    @contextlib.contextmanager
    def _ended_by_signal(self) -> Iterator[None]:
        """What may take longer than systemd waits ends at once; a step that was begun is in the state file."""
        if self._stop.is_set():
            raise SystemExit(0)
        self._at_length = True
        try:
            yield
        finally:
            self._at_length = False

    def _on_signal(self, _number: int, _frame: object) -> None:
        """Elsewhere the loop ends by itself."""
        self._stop.set()
        if self._at_length:
            raise SystemExit(0)
