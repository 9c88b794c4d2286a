# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that a supervisor runs and does not list, as real children of this process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import WELL, DaemonReading
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.surplus import Surplus, unlisted
from watch_samples import process


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
