# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers are killed and stopped under load: no request waits for one that is gone, or is lost but in its hands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from deployments import load
from faults import age, pids, signal
from recovery import WORKERS, Watch
from recovery_table import keep_storm
from testinfra.host import Host
from waiting import until

# 48 clients, about 400 requests a second, half of them POST. Nginx limits neither.
READS = ("--path=/api/health", "--methods=GET", "--connections=24", "--pause=0.1")
WRITES = ("--path=/faults/health/ok", "--methods=POST", "--connections=24", "--pause=0.1")
# PM2 gives up a worker that ended ten times before it was so old (pm2_min_uptime).
OLD_ENOUGH = 11
# So long a client may wait, in seconds: for one that is killed, and for one that is stopped until it is noticed.
LONGEST = {"KILL": 1.0, "STOP": 5.0}
# In the hands of a worker at one moment, of 24 clients that write.
IN_HAND = 24


@contextmanager
def both_loads(address: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    with load(address, *READS) as reads, load(address, *WRITES) as writes:
        yield reads, writes


def victim_of(host: Host) -> int:
    """A worker, when all are there and it has left its restarts behind."""

    def found() -> list[int]:
        there = pids(host)
        return [pid for pid in there if len(there) == WORKERS and age(host, pid) >= OLD_ENOUGH]

    return random.choice(until("a worker is old enough", found, 60))


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("KILL", 4),
        ("STOP", 3),
        pytest.param("KILL", 100, marks=pytest.mark.soak),
        pytest.param("STOP", 20, marks=pytest.mark.soak),
    ],
)
def test_no_request_hangs_in_a_worker_that_is_gone(
    host: Host, watch: Watch, address: str, name: str, times: int
) -> None:
    with both_loads(address) as (reads, writes):
        for _time in range(times):
            victim = victim_of(host)
            signal(host, name, victim)
            until("it is gone", lambda gone=victim: gone not in pids(host), 20)
            # one after the other, not all within the budget's window
            watch.command("resume")
        victim_of(host)
    keep_storm(f"{times} times SIG{name} to one of two", reads, writes)
    assert reads["failed"] == 0, reads["failures"]
    assert max(reads["slowest"], writes["slowest"]) < LONGEST[name], (reads["slowest"], writes["slowest"])
    assert {(failure["what"], failure["why"]) for failure in writes["failures"]} <= {("POST", "status 502")}
    assert writes["failed"] <= IN_HAND * times
    assert min(reads["requests"]["GET"], writes["requests"]["POST"]) > 100 * times
