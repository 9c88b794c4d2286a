# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service crashes again and again, or grows: no restart that is not due, and none that clients notice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from deployments import load
from faults import (
    SERVICE,
    WATCHDOG,
    activation_unit,
    armed,
    disarmed,
    fault,
    forgotten,
    given_up,
    main_pid,
    pids,
    resident_mb,
    signal,
    unnoticed_end,
    without_environment,
    workers,
)
from recovery import LOAD, MOST_ACTIONS, SOON, WORKERS, Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until

POLICY = "/etc/logrotate-workbot.conf"
# vars/faulty.yml says the first, and the capacity plan makes the other one of it.
HEAP_LIMIT_MB, RESTART_LIMIT_MB = 256, 384
Sizes: TypeAlias = Callable[[Host], dict[int, int]]


@pytest.fixture
def apart(host: Host) -> Iterator[None]:
    """Earlier tests' restarts are not counted, and PM2's back-off, which lasts, is not the next one's."""
    forgotten(host)
    yield
    disarmed(host)
    host.check_output(f"systemctl restart {SERVICE}")
    forgotten(host)


def restarts(host: Host) -> int:
    """Starts of workers that PM2 has logged."""
    return int(host.check_output("grep -c 'starting in -cluster mode-' /srv/workbot/home/pm2.log"))


@pytest.mark.usefixtures("apart")
def test_a_storm_is_told_and_bounded(host: Host, watch: Watch, began: float) -> None:
    """Broken after long health: every new process dies at once. PM2 alone restarted 113 times in ten seconds."""
    before = restarts(host)
    armed(host, exitAfterMs=200)
    signal(host, "KILL", *pids(host))
    watch.until_told(began, "crash_loop", limit=90)
    time.sleep(20)
    seconds = time.time() - began
    assert restarts(host) - before < seconds
    disarmed(host)
    healthy = watch.until_well(began, 120)
    course = watch.course(began, healthy)
    keep(f"storm: every process dies at once, repaired after {seconds:.0f} s", course)
    assert len(course.actions) <= MOST_ACTIONS


@pytest.mark.usefixtures("apart")
def test_a_storm_soon_after_a_start_is_over_when_its_cause_is(host: Host, watch: Watch) -> None:
    """PM2 gives every worker up and says that they wait to be restarted. Nobody restarted them for 19 minutes."""
    # PM2 gives up what ends again and again soon after such a start only
    host.check_output("workbot-pm2 restart all")
    began = time.time()
    with without_environment(host):
        signal(host, "KILL", *pids(host))
        until("PM2 gives all of them up", lambda: given_up(host) == WORKERS, 60)
        watch.until_acted(began, 60)
        time.sleep(max(0.0, began + 90 - time.time()))
    repaired = time.time()
    healthy = watch.until_well(repaired, 60)
    course = watch.course(began, healthy + repaired - began)
    keep("storm soon after a start, repaired after 90 s", course)
    assert healthy < 30
    assert len(course.actions) <= MOST_ACTIONS


@pytest.mark.soak
@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("seconds", [30, 90])
@pytest.mark.parametrize("number", [1, WORKERS])
@pytest.mark.parametrize("age", [20, 60, 120, 400])
def test_every_storm_is_over_when_its_cause_is(host: Host, watch: Watch, age: int, number: int, seconds: int) -> None:
    """However long after a start it begins: PM2 counts exits, and forgets them, by the ages of the processes."""
    host.check_output("workbot-pm2 restart all")
    time.sleep(age)
    with without_environment(host):
        signal(host, "KILL", *sorted(pids(host))[:number])
        time.sleep(seconds)
    repaired = time.time()
    healthy = watch.until_well(repaired, 60)
    course = watch.course(repaired - seconds, healthy + seconds)
    keep(f"storm of {number} of {WORKERS} workers {age} s after their start, repaired after {seconds} s", course)
    assert healthy < SOON
    assert len(course.actions) <= MOST_ACTIONS


@pytest.mark.parametrize(
    ("how", "survives"),
    [
        (f"logrotate --force --state /var/lib/logrotate/workbot.status {POLICY}", True),
        # by which PM2 ends, at the latest when it is told so again and again
        ("workbot-pm2 reloadLogs", False),
    ],
    ids=["by logrotate", "by hand"],
)
def test_logs_that_are_reopened_while_no_worker_can_start_keep_none_from_it(
    host: Host, watch: Watch, how: str, survives: bool
) -> None:
    unit = activation_unit(host)
    before = main_pid(host, unit)
    with without_environment(host):
        signal(host, "KILL", *pids(host))
        until("PM2 waits", lambda: {worker["status"] for worker in workers(host)} == {"waiting restart"}, 30)
        for number in range(2 if survives else 20):
            if number >= 2 and main_pid(host, unit) != before:
                break
            host.run(how)
            time.sleep(2)
    repaired = time.time()
    healthy = watch.until_well(repaired, 60)
    # PM2 that ends may leave a process that is just being started
    assert watch.course(repaired, healthy).cured < SOON + (0 if survives else unnoticed_end(host, unit))
    assert (main_pid(host, unit) == before) is survives
    assert "stopped_by_operator" not in watch.course(repaired, healthy).told


@pytest.mark.usefixtures("apart")
def test_crashes_just_over_min_uptime_are_told(host: Host, watch: Watch, began: float) -> None:
    """To PM2 each of them is a good start. Clients are served by the other worker meanwhile."""
    armed(host, exitAfterMs=11_000)
    signal(host, "KILL", *pids(host))
    watch.until_told(began, "crash_loop", limit=120)
    course = watch.course(began, None)
    keep("crash just over min_uptime (11 s), again and again", course)
    assert len(course.actions) <= MOST_ACTIONS


def test_a_single_crash_is_in_the_history_and_no_alert(host: Host, watch: Watch, began: float) -> None:
    victim = fault(host, "exit?ms=1", number=1)
    healthy = watch.until_well(began + 1, 60)
    until("it is noted", lambda: "worker 1 ended unasked" in watch.command("history"), 20)
    (line,) = [line for line in watch.command("history --count 3").splitlines() if "ended unasked" in line]
    assert line.endswith(
        "restart   service: worker 1 ended unasked, and PM2 started it again: see the service's error log"
    )
    assert victim not in pids(host)
    assert "crash_loop" not in watch.course(began, healthy).told


@pytest.mark.usefixtures("apart")
def test_another_watchdog_knows_of_the_crash_loop_and_does_not_say_it_is_over(
    host: Host, watch: Watch, began: float
) -> None:
    for _time in range(3):
        signal(host, "KILL", *pids(host))
        until("each worker answers", lambda: len(watch.answering()) == WORKERS, 30)
        time.sleep(3)
    told = watch.until_told(began, "crash_loop")
    assert "6 restarts of workers within 15 minutes" in told["message"]
    host.check_output(f"systemctl restart {WATCHDOG}")
    time.sleep(20)
    kinds = [event["kind"] for event in watch.events(began) if event.get("code") == "crash_loop"]
    assert kinds == ["problem"] * len(kinds)
    assert "service.crash_loop" in {problem["key"] for problem in watch.status()["problems"]}


def rss(host: Host) -> dict[int, int]:
    """Resident memory of each worker in MB; one that ends meanwhile has none."""
    return {pid: size for pid in pids(host) if (size := resident_mb(host, pid))}


def heaps(host: Host) -> dict[int, int]:
    """The heap that each worker uses, in MB, as it told PM2."""
    listed = json.loads(host.check_output("workbot-pm2 jlist").splitlines()[-1])
    told = ((item["pid"], item["pm2_env"]["axm_monitor"].get("Used Heap Size")) for item in listed)
    return {pid: round(float(size["value"])) for pid, size in told if size}


@pytest.mark.parametrize(
    ("kind", "step", "sizes", "limit"),
    [("buffers", 15, rss, RESTART_LIMIT_MB), ("leak", 5, heaps, HEAP_LIMIT_MB)],
    ids=["buffers, which no measure of the heap shows", "the heap, whose limit is the nearer one"],
)
def test_a_leaking_worker_is_reloaded_before_its_limit_and_no_request_fails(
    host: Host, watch: Watch, address: str, began: float, *, kind: str, step: int, sizes: Sizes, limit: int
) -> None:
    before = pids(host)

    def is_near() -> bool:
        near = max(sizes(host).values(), default=0) >= 0.92 * limit
        if not near:
            fault(host, f"{kind}?mb={step}")
        return near

    def leak_on() -> tuple[str, ...]:
        # under load it comes and goes: what was near the limit once may be far from it at the watchdog's next look
        is_near()
        return watch.actions(began)

    with load(address, *LOAD) as tally:
        # a step of the leak may take long; only what the watchdog then needs is limited
        until("a worker near its limit", lambda: is_near() or watch.actions(began), 900)
        until("an action", leak_on, 180)
        healthy = watch.until_well(began, 120)
    course = watch.course(began, healthy)
    keep(f"{kind} leaked to the limit, under load", course)
    assert tally["failed"] == 0, tally["failures"]
    assert tally["requests"]["POST"] > 1000
    assert set(course.actions) == {"reload_worker"}
    assert before - pids(host)


# The app as it is declared, but for what lets PM2 go on trying for ever: the back-off.
GIVES_UP = """
import json, pathlib
text = pathlib.Path("/srv/workbot/active/ecosystem.config.cjs").read_text()
apps = json.loads(text[text.index("{") :].rstrip().rstrip(";"))
for app in apps["apps"]:
    del app["exp_backoff_restart_delay"]
    app.update(max_restarts=2, wait_ready=False)
pathlib.Path("/srv/workbot/shared/gives-up.config.cjs").write_text("module.exports = " + json.dumps(apps))
"""


@pytest.mark.usefixtures("apart")
def test_what_pm2_has_given_up_is_started_once_it_can_be(host: Host, watch: Watch) -> None:
    """It is `errored` already when the watchdog begins to look, and PM2 would leave it so."""
    host.check_output(f"systemctl stop {WATCHDOG}")
    armed(host, exitAfterMs=1)
    host.check_output("python3 -c %s && workbot-pm2 delete all", GIVES_UP)
    host.check_output("workbot-pm2 start /srv/workbot/shared/gives-up.config.cjs")
    until("PM2 gives up", lambda: {worker["status"] for worker in workers(host)} == {"errored"}, 60)
    disarmed(host)
    began = time.time()
    host.check_output(f"systemctl start {WATCHDOG}")
    healthy = watch.until_well(began, 90)
    course = watch.course(began, healthy)
    keep("given up by PM2 already when the watchdog starts", course)
    assert course.cured < SOON
    assert set(course.actions) <= {"restart_worker", "restart_app"}
    assert course.actions
