# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a build or a deployment does, workers that hang meanwhile are replaced as soon as ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from deployments import AT_ONCE, FROM_RELEASE, Run, Service, wait
from faults import pids, signal
from hosts import vanished
from recovery import SOON, Watch
from recovery_table import keep
from testinfra.host import Host
from waiting import until

VARIABLES = "--extra-vars=@molecule/recovery/vars/faulty.yml"
# Seconds of a build that does not end by itself; they tell it from any other process.
ENDLESS = 4343
# Seconds without any good answer, until the dead new workers are seen and the old ones are active again.
UNSERVED = 1.0
BUILD_LOCK, PROCESS_LOCK = "/srv/workbot/.build.lock", "/srv/workbot/.processes.lock"


@pytest.fixture
def service(host: Host) -> Service:
    return Service("workbot", host, (VARIABLES,))


def builds(host: Host) -> list[str]:
    found: list[str] = host.run(f"pgrep -f '^sleep {ENDLESS}'").stdout.split()
    return found


@contextmanager
def building(service: Service, script: str = f"exec sleep {ENDLESS}") -> Iterator[list[Run]]:
    """A release is being built all the time; afterwards what became of that run."""
    process = service.start("deploy", FROM_RELEASE, release_before_build=[["/bin/sh", "-c", script]])
    ended: list[Run] = []
    try:
        until("a build runs", lambda: builds(service.host), 180)
        yield ended
    finally:
        service.host.run(f"pkill -f '^sleep {ENDLESS}'")
        ended.append(wait(process))
    assert "before_build: /bin/sh" in ended[0].output


@pytest.mark.parametrize(("count", "what"), [(1, "worker"), (2, "all workers")])
def test_what_hangs_during_a_build_is_replaced(
    host: Host, watch: Watch, service: Service, count: int, what: str
) -> None:
    with building(service):
        watch.until_well(time.time())
        victims, began = sorted(pids(host))[:count], time.time()
        signal(host, "STOP", *victims)
        course = watch.course(began, watch.until_well(began))
        assert builds(host), "it was built all the time"
    keep(f"{what} stopped (SIGSTOP) during a build", course)
    assert course.cured < SOON
    assert set(course.actions) == {"kill_worker"}
    assert not pids(host).intersection(victims)


def test_what_hangs_during_the_build_of_a_dead_run_is_replaced_and_that_build_is_ended(
    host: Host, watch: Watch, service: Service
) -> None:
    """The run is killed on the host, and its build has left its group and its session."""
    script = f"setsid --fork sleep {ENDLESS}; exec sleep 600"
    run = service.start("deploy", FROM_RELEASE, release_before_build=[["/bin/sh", "-c", script]])
    until("a build runs", lambda: builds(host), 180)
    host.check_output("kill -KILL %s", host.file(BUILD_LOCK).content_string.split()[-1])
    assert wait(run).code != 0
    watch.until_well(time.time())
    began = time.time()
    signal(host, "STOP", *pids(host))
    course = watch.course(began, watch.until_well(began))
    keep("all workers stopped (SIGSTOP) during the build of a dead run", course)
    assert course.cured < SOON
    assert builds(host), "it is still at work"
    done = service.deploy(FROM_RELEASE)
    assert "of a run that was interrupted, still went on, and was ended." in done.output
    assert builds(host) == []


def test_a_run_whose_controller_is_gone_ends_its_build(host: Host, service: Service) -> None:
    script = f"setsid --fork sleep {ENDLESS}; exec sleep 600"
    run = service.start("deploy", FROM_RELEASE, release_before_build=[["/bin/sh", "-c", script]])
    until("a build runs", lambda: builds(host), 180)
    vanished(run)
    until("the build is ended", lambda: not builds(host), 20)
    until("nothing is held", lambda: host.file(BUILD_LOCK).content_string.strip() == "", 20)
    marks = host.check_output("ls -d /srv/workbot/releases/*/.release.json").split()
    assert len(host.check_output("ls -A /srv/workbot/releases").split()) == len(marks), "what it made is removed"


def test_what_hangs_during_a_deployment_is_replaced(host: Host, watch: Watch, service: Service) -> None:
    """Of the old workers, which serve: the new ones are looked at meanwhile."""
    watch.until_well(time.time())
    victim = min(pids(host))
    rest = f"date +%s.%N >/srv/workbot/shared/stopped; kill -STOP {victim}; sleep 20"
    hooks = {"after_start": [["/bin/sh", "-c", rest]]}
    service.deploy(FROM_RELEASE, pm2_kill_timeout=9, pm2_hooks=hooks, **AT_ONCE)
    stopped = float(host.check_output("cat /srv/workbot/shared/stopped; rm /srv/workbot/shared/stopped"))
    acted = [event["time"] - stopped for event in watch.events(stopped) if event["kind"] == "action"]
    course = watch.course(stopped, watch.until_well(stopped, 90))
    keep("a deployment, with a worker stopped in the middle of it", course)
    assert acted[0] < SOON
    assert course.actions == ("kill_worker",)
    service.deploy(FROM_RELEASE, **AT_ONCE)


def test_a_drain_in_which_the_new_workers_die_goes_back_to_the_old_ones(
    host: Host, watch: Watch, service: Service
) -> None:
    """And one of these hangs: whoever meets it waits, everybody else is served."""
    watch.until_well(time.time())
    victim = min(pids(host))
    both = f"date +%s.%N >/srv/workbot/shared/began; kill -STOP {victim}; pkill -KILL --newest --full '[G]od Daemon'"
    run = wait(
        service.start(
            "deploy",
            FROM_RELEASE,
            pm2_kill_timeout=8,
            pm2_hooks={"after_switch": [["/bin/sh", "-c", both]]},
            **{**AT_ONCE, "pm2_drain_time": 30},
        )
    )
    began = float(host.check_output("cat /srv/workbot/shared/began; rm /srv/workbot/shared/began"))
    assert run.code != 0
    assert "ended after it had been healthy" in run.output, run.output
    watch.until_acted(began)
    course = watch.course(began, watch.until_well(began, 90))
    keep("a drain in which the new workers are dead and an old one is stopped", course)
    good = [began, *(line["sent"] for line in watch.samples.since(began) if not line["wrong"])]
    assert max(later - sooner for sooner, later in pairwise(sorted(good))) < UNSERVED
    assert course.cured < SOON
    assert pids(host) - {victim}


def test_what_is_held_back_from_is_said(host: Host, watch: Watch, began: float) -> None:
    """No worker answers while somebody has the lock for exchanging them for longer than that takes."""
    host.check_output("systemd-run --quiet --unit=molecule-exchanges --collect flock %s sleep 60", PROCESS_LOCK)
    try:
        signal(host, "STOP", *pids(host))
        told = watch.until_told(began, "worker_hung", SOON)
        held = watch.status()["targets"]["service"]["inhibition"]
        assert (held["code"], watch.actions(began)) == ("deployment", ())
    finally:
        host.check_output("systemctl stop molecule-exchanges")
    assert told["severity"] == "critical"
    assert "No action is taken: a deployment, or another change of PM2's processes, is under way" in told["message"]
    course = watch.course(began, watch.until_well(began))
    keep("all workers stopped (SIGSTOP) while another activation takes their place, 60 s at most", course)
    assert course.actions == ("kill_worker",)
