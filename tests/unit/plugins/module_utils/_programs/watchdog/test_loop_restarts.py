# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a watchdog keeps of the restarts of workers, also for the one that comes after it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import state_files
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.loop import Watch
from watch_samples import Listener, process, readings, settings


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watch]:
    """A watchdog whose service is well, but for `ends`: so many ends of worker 0 before each probe."""
    (tmp_path / "events").mkdir()

    def begin(ends: int) -> Watch:
        one = Watch(settings(tmp_path), Listener())
        counter, count = one._reader.restarts, 0

        def read(now: float, _suspect: bool) -> object:
            nonlocal count
            found = counter.note([process(0, pid=200 + count, restarts=count)], now, daemon=9, changing=False)
            count += ends
            return readings(restarts=found, now=now)

        monkeypatch.setattr(one._reader, "read", read)
        return one

    return begin


def history(directory: Path, kind: str) -> list[str]:
    log = (directory / "monitor.log").read_text().splitlines()
    return [entry["message"] for entry in map(json.loads, log) if entry["kind"] == kind]


def test_a_worker_that_ends_once_is_in_the_history_and_many_are_a_crash_loop(
    watch: Callable[..., Watch], tmp_path: Path
) -> None:
    one = watch(ends=1)
    one.round()
    one.round()
    assert history(tmp_path, "restart") == [
        "worker 0 ended unasked, and PM2 started it again: see the service's error log"
    ]
    for _number in range(6):
        one.round()
    assert len(history(tmp_path, "restart")) == 4
    assert "7 restarts of workers" in history(tmp_path, "problem")[0]


def test_another_watchdog_goes_on_counting_and_ends_no_crash_loop(watch: Callable[..., Watch], tmp_path: Path) -> None:
    one = watch(ends=4)
    for _number in range(5):
        one.round()
    assert len(history(tmp_path, "problem")) == 1
    other = watch(ends=0)
    other.round()
    assert other._state.restarts == one._state.restarts
    assert len(one._state.restarts) == 16
    assert "service.crash_loop" in other._state.problems
    assert history(tmp_path, "resolved") == []


def test_restarts_to_come_are_those_of_another_boot(watch: Callable[..., Watch], tmp_path: Path) -> None:
    one = watch(ends=0)
    one._state = dataclasses.replace(one._state, restarts=(1e9,))
    one._save()
    assert state_files.load(tmp_path / "state.json", one._boot, 5000.0).restarts == ()
