# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate asks each worker on its own socket: what one of them answers says nothing about another."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from activation_host import GOOD, FakeSystemd, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy import health_gate
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import GateError, Workers
from ansible_collections.workbot.stability.plugins.module_utils._deploy.links import make_directory
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import Decision
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import point
from ansible_collections.workbot.stability.plugins.module_utils._host.units import run_unit
from ansible_collections.workbot.stability.plugins.module_utils._pm2.bus import Bus
from ansible_collections.workbot.stability.plugins.module_utils._pm2.ecosystem import render
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import processes_of

NEW = Activation("new")
WRONG = {
    "unhealthy": ("503", "answered 503 instead of 200"),
    "deaf": ("deaf", "no complete answer within 0.3 s"),
    "never listens": ("mute", "nothing answers on .*new/1.sock: No such file or directory"),
}


def start(host: Context, program: str, bus: Bus | None = None, **settings: Any) -> tuple[Workers, list[int]]:
    """The gate of release `new` that PM2 has just started, and its processes."""
    release(host, "new", program)
    sockets = tuple(host.places.socket(NEW, number) for number in range(2))
    config = render([{**host.app_of(NEW), **settings}])
    make_directory(host, Decision("none", NEW, (), (), (), sockets, config, ""), 0)
    run_unit("start", host.places.unit(NEW), 5)
    quick = replace(host, health=replace(host.health, answer_timeout=0.3))
    return quick.workers(NEW, {}, bus=bus), [process.pid or 0 for process in processes_of(host.client(NEW))]


def refusal(workers: Workers, seconds: float = 0.5) -> str:
    with pytest.raises(GateError) as error:
        workers.wait_until_healthy(time.monotonic() + seconds)
    return str(error.value)


def let_pass(workers: Workers) -> list[int | None]:
    return [process.pid for process in workers.wait_until_healthy(time.monotonic() + 10)]


@pytest.mark.parametrize("what", WRONG)
def test_the_one_of_two_workers_that_is_not_well_is_named(host: Context, what: str) -> None:
    program, says = WRONG[what]
    workers, (well, ill) = start(host, f"200 {program}")
    said = refusal(workers)
    assert f"worker 1 (process {ill}): " in said
    assert f"process {well}" not in said
    assert re.search(says, said)


def test_a_worker_whose_socket_is_another_one_s_has_not_answered(host: Context) -> None:
    workers, (first, second) = start(host, GOOD)
    point(host.places.link(NEW, 1), host.places.socket(NEW, 0))
    link = host.places.link(NEW, 1)
    assert refusal(workers).endswith(f"worker 1 (process {second}): {link} is another process's, {first}")


def test_whoever_listens_in_the_place_of_a_worker_is_not_that_worker(host: Context) -> None:
    workers, (_first, second) = start(host, "200 mute")
    listen = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(1, flush=True)"
    )
    argv = [sys.executable, "-c", f"{listen}; sys.stdin.read()", str(host.places.socket(NEW, 1))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as foreign:
        assert foreign.stdout is not None
        assert foreign.stdout.readline()
        said = refusal(workers)
        foreign.kill()
    link = host.places.link(NEW, 1)
    assert said.endswith(f"worker 1 (process {second}): {link} is another process's, {foreign.pid}")


def test_a_program_that_forks_workers_of_its_own_is_told_what_to_set(host: Context) -> None:
    workers, (_first, second) = start(host, "200 forks")
    said = refusal(workers)
    assert re.search(
        rf"worker 1 \(process {second}\): process \d+, which it has started, listens on .*new/1.sock", said
    )
    assert "pm2_exec_mode: fork" in said
    assert "service_instances: 1" in said


def test_all_are_asked_again_before_they_are_trusted(host: Context) -> None:
    workers, pids = start(host, GOOD)
    assert let_pass(workers) == pids
    workers.stay_healthy()
    os.kill(pids[1], signal.SIGSTOP)
    with pytest.raises(GateError, match=rf"healthy at first, but not 0.2 s later: process {pids[1]}: ") as error:
        workers.stay_healthy()
    assert f"process {pids[0]}" not in str(error.value)


def test_three_bad_answers_in_a_row_of_the_same_worker_are_too_many(host: Context) -> None:
    workers, pids = start(host, GOOD)
    let_pass(workers)
    for pid in (*pids, *pids):
        os.kill(pid, signal.SIGSTOP)
        workers.require_alive()
        workers.require_alive()
        os.kill(pid, signal.SIGCONT)
    workers.require_alive()
    os.kill(pids[1], signal.SIGSTOP)
    workers.require_alive()
    workers.require_alive()
    with pytest.raises(GateError, match=rf"3 answers in a row of process {pids[1]} were not healthy: .*new/1\.sock"):
        workers.require_alive()


def test_a_worker_that_ended_is_missed_at_once(host: Context) -> None:
    workers, pids = start(host, GOOD)
    let_pass(workers)
    os.kill(pids[0], signal.SIGKILL)
    os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)
    with pytest.raises(GateError, match=rf"^process {pids[0]} ended after it had been healthy$"):
        workers.require_alive()


def said_of_the_first(host: Context, *said: tuple[str, str]) -> Bus:
    """What PM2's daemon publishes of worker 0."""
    bus = Bus(host.client(NEW))
    for event, data in said:
        bus._note(f"s:{event}".encode(), {"process": {"pm_id": 0}, "data": data})
    return bus


def test_a_worker_that_ended_is_told_with_how_often_by_what_and_its_own_first_error(host: Context) -> None:
    log = "2026-11-25 03:39:28: Error: STRIPE_KEY is not set\n    at server.js:3\nError: another\n"
    exited = ("log:PM2", "App [shop-new:0] exited with code [78] via signal [SIGINT]\n")
    workers, _pids = start(host, "exit 200", said_of_the_first(host, ("log:err", log), exited))
    assert refusal(workers) == "worker 0 ended once with exit status 78: Error: STRIPE_KEY is not set"


def test_a_worker_that_lives_on_after_an_error_is_not_waited_for(
    host: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_gate, "_SILENT_SECONDS", 0.5)
    log = "You have triggered an unhandledRejection, you may ...:\nTypeError: no such plan\n"
    bus = said_of_the_first(host, ("log:err", log), ("process:exception", "of any form"))
    workers, (pid, _other) = start(host, "mute 200", bus)
    began = time.monotonic()
    said = refusal(workers, 60)
    assert said.startswith(f"worker 0 (process {pid}) does not listen after an uncaught error: TypeError: no such")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("program", ["busy 200", "200 200"])
def test_one_that_still_works_or_listens_after_an_error_is_waited_for(
    host: Context, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(health_gate, "_SILENT_SECONDS", 0.5)
    workers, _pids = start(host, program, said_of_the_first(host, ("process:exception", "of any form")))
    if program == "200 200":
        let_pass(workers)
    else:
        assert refusal(workers, 2).startswith("within 2 s worker 0 (process")


def test_a_worker_s_number_is_what_its_app_s_variable_says(host: Context) -> None:
    workers, pids = start(host, GOOD, instance_var="WORKER", NODE_APP_INSTANCE=7)
    assert let_pass(workers) == pids


def test_what_pm2_does_not_say_is_told(host: Context, systemd: FakeSystemd) -> None:
    workers, _pids = start(host, GOOD)
    let_pass(workers)
    systemd.end()
    with pytest.raises(Pm2Error, match=r"no PM2 daemon runs for \S+/run/shop@new$"):
        workers.require_same()
