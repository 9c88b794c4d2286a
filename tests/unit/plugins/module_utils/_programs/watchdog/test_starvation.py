# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real processes on one processor: those that want it, and one that is stopped."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.processor_time import (
    ProcessorTime,
    processor_times,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.starvation import StarvationWatch

BUSY = ["sh", "-c", "while :; do :; done"]


@pytest.fixture
def crowd() -> Iterator[list[int]]:
    """Five processes that compete for one processor."""
    processor = min(os.sched_getaffinity(0))
    crowd = [subprocess.Popen(BUSY) for _number in range(5)]
    for process in crowd:
        os.sched_setaffinity(process.pid, {processor})
    yield [process.pid for process in crowd]
    for process in crowd:
        process.kill()
        process.wait()


def test_who_waits_for_a_processor_starves_and_who_is_stopped_does_not(crowd: list[int]) -> None:
    os.kill(crowd[0], signal.SIGSTOP)
    before = processor_times(crowd)
    time.sleep(1)
    found = StarvationWatch(60).starved(before, processor_times(crowd), answered=crowd[1:2])
    assert set(found) == set(crowd[2:])
    assert all(50 <= share <= 100 for share in found.values())


def test_what_has_used_a_processor_for_long_without_an_answer_is_blocked(crowd: list[int]) -> None:
    before = processor_times(crowd)
    time.sleep(1)
    assert StarvationWatch(0.001).starved(before, processor_times(crowd), answered=[]) == {}


def times(used: float, waited: float, at: float, pid: int = 7) -> dict[int, ProcessorTime]:
    return {pid: ProcessorTime(at, used, waited)}


def test_patience_begins_again_with_each_answer() -> None:
    watch = StarvationWatch(9)
    probes = [times(10.0 + 2 * number, 8.0 * number, 10.0 * number) for number in range(12)]
    found = [
        watch.starved(before, after, answered=[7] if number == 6 else [])
        for number, (before, after) in enumerate(itertools.pairwise(probes))
    ]
    starved, blocked = {7: 80}, {}
    assert found == [starved] * 4 + [blocked] * 3 + [starved] * 4


def test_a_probe_that_knows_no_workers_is_no_answer_of_theirs() -> None:
    watch, pid = StarvationWatch(9), os.getpid()
    probes = [times(2.0 * number, 8.0 * number, 10.0 * number, pid) for number in range(6)]
    found = []
    for before, after in itertools.pairwise(probes):
        found.append(watch.starved(before, after, answered=[]))
        assert watch.starved({}, {}, answered=[]) == {}
    assert found == [{pid: 80}] * 4 + [{}]


def test_a_later_process_with_the_number_of_one_that_has_ended_is_another() -> None:
    watch, pid = StarvationWatch(9), os.getpid()
    watch.starved(times(500.0, 0.0, 0.0, pid), times(501.0, 1.0, 10.0, pid), answered=[pid])
    assert watch.starved(times(0.0, 0.0, 20.0, pid), times(2.0, 8.0, 30.0, pid), answered=[]) == {pid: 80}
    assert watch.starved(times(2.0, 8.0, 30.0, pid), times(12.0, 14.0, 40.0, pid), answered=[]) == {}


def test_a_process_that_is_gone_or_new_is_no_matter() -> None:
    assert StarvationWatch(9).starved({}, times(1.0, 1.0, 1.0), answered=[]) == {}
    assert StarvationWatch(9).starved(times(1.0, 1.0, 1.0), {}, answered=[]) == {}
