# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This process itself on one processor: alone there, among others that take it, and asleep."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.later import later
from ansible_collections.workbot.stability.plugins.module_utils._host.processor_time import (
    MOST_OF_THE_TIME,
    OwnWaiting,
    processor_times,
)


@pytest.fixture
def crowd() -> Iterator[None]:
    """This process, and what it starts, is on one processor with ten others."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    crowd = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _number in range(10)]
    yield
    for process in crowd:
        process.kill()
        process.wait()
    os.sched_setaffinity(0, before)


def work(own: OwnWaiting) -> None:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        sum(range(1000))
    own.leave()


@pytest.mark.usefixtures("crowd")
def test_who_works_among_many_starves_though_most_of_its_threads_sleep() -> None:
    own = OwnWaiting()
    asleep = [later("asleep", time.sleep, 2.0) for _number in range(5)]
    busy = later("busy", work, own)
    time.sleep(1.0)
    assert own.starved()
    assert MOST_OF_THE_TIME <= own.share() <= 1.0
    busy.result()
    assert own.share() >= MOST_OF_THE_TIME, "what a thread had waited before it ended is forgotten"
    for one in asleep:
        one.result()


@pytest.mark.usefixtures("crowd")
def test_who_waits_for_an_answer_does_not_starve_among_many() -> None:
    own = OwnWaiting()
    later("asleep", time.sleep, 1.5).result()
    assert not own.starved()


def test_what_is_gone_has_no_time() -> None:
    assert processor_times([2**22 + 1]) == {}
