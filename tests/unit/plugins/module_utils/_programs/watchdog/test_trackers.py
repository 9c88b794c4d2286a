# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts, counted; and processes that a supervisor runs and does not list, as real children of this process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import WELL, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.trackers import (
    RestartCounter,
    Surplus,
    unlisted,
)
from watch_samples import process


def noted(
    counter: RestartCounter, now: float, *found: tuple[int, int], daemon: int | None = 9, changing: bool = False
) -> int:
    """`found`: PM2's count of restarts and the process id of worker 0, 1 ..."""
    workers = [
        Pm2Process("shop-1", number, pid, "online", count, 0, float(pid)) for number, (count, pid) in enumerate(found)
    ]
    return counter.note(workers, now, daemon=daemon, changing=changing)


def test_restarts_are_counted_within_the_window() -> None:
    counter = RestartCounter(100)
    assert noted(counter, 0, (7, 50), (0, 51)) == 0
    assert noted(counter, 10, (9, 52), (0, 51)) == 2
    # a count that was reset: the process shows
    assert noted(counter, 20, (0, 53), (0, 51)) == 3
    assert noted(counter, 115, (0, 53), (1, 54)) == 2
    assert noted(counter, 300, (0, 53), (1, 54)) == 0
    # as a service's own PM2 may claim
    assert noted(counter, 310, (10**15, 53), (1, 54)) == 1000


def test_the_watchdogs_own_restarts_are_none_of_the_services() -> None:
    counter = RestartCounter(100)
    noted(counter, 0, (0, 50), (0, 51))
    counter.forgive([0])
    assert noted(counter, 1, (1, 52), (0, 51)) == 0
    assert noted(counter, 2, (2, 53), (0, 51)) == 1


def test_what_a_deployment_or_another_daemon_starts_are_no_restarts() -> None:
    counter = RestartCounter(100)
    noted(counter, 0, (0, 50), (0, 51))
    assert noted(counter, 5, (1, 52), (0, 51), changing=True) == 0
    # what was done between the last such probe and its end
    assert noted(counter, 10, (1, 52), (1, 53)) == 0
    assert noted(counter, 15, (1, 54), (1, 55), daemon=10) == 0
    assert noted(counter, 20, (2, 56), (1, 55), daemon=10) == 1


def test_the_process_that_ended_counts_once() -> None:
    """PM2 lists a worker without a process while it waits to start it again."""
    counter = RestartCounter(100)
    noted(counter, 0, (0, 50))
    counter.note([Pm2Process("shop-1", 0, None, "waiting restart", 1, 0, 50.0)], 1, daemon=9, changing=False)
    assert noted(counter, 2, (1, 52)) == 1


@pytest.fixture
def children() -> Iterator[list[int]]:
    """Two workers of one program, and something else."""
    started = [subprocess.Popen(["sleep", seconds]) for seconds in ("600", "600", "601")]
    yield [child.pid for child in started]
    for child in started:
        child.kill()
        child.wait()


def test_only_workers_of_the_same_program_are_missed(children: list[int]) -> None:
    first, second, _other = children
    assert unlisted(os.getpid(), [first]) == [second]
    assert unlisted(os.getpid(), [first, second]) == []
    assert unlisted(os.getpid(), []) == []
    assert unlisted(None, [first]) == []


def test_an_ordinary_reload_has_its_time(children: list[int], tmp_path: Path) -> None:
    surplus = Surplus(Pm2Client(tmp_path, "/none", "/none", None, 1))
    daemon = DaemonReading(WELL, "", os.getpid(), (process(0, pid=children[0]),))
    assert surplus.probe(daemon, 1000.0) == ()
    assert surplus.probe(daemon, 1059.0) == ()
    assert surplus.probe(daemon, 1060.0) == (children[1],)
    assert surplus.untried([children[1]]) == [children[1]]
    with surplus._client.lock():
        assert not surplus.remove([children[1]], [0])
    assert surplus.untried([children[1]]) == [children[1]]
    # no daemon is there to be asked: nothing breaks, and it is not tried again
    assert surplus.remove([children[1]], [0])
    assert surplus.untried([children[1]]) == []
    assert surplus.probe(daemon, 1061.0) == (children[1],)
    # when it is gone, its number may come to another one
    both = DaemonReading(WELL, "", os.getpid(), (*daemon.processes, process(1, pid=children[1])))
    assert surplus.probe(both, 1080.0) == ()
    assert surplus.untried([children[1]]) == [children[1]]
