# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two programs, of which the second reads what the first writes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import PLAIN, Program
from ansible_collections.workbot.stability.plugins.module_utils._host.pipe import pipe


def shell(text: str) -> Program:
    return Program(["/bin/sh", "-c", text], PLAIN)


def test_the_second_has_all_that_the_first_has_written_and_each_its_own_end() -> None:
    first, second = pipe(shell("seq 100000; echo no >&2; exit 3"), shell("wc -l; exit 4"))
    assert (first.status, first.errors, first.output) == (3, "no\n", "")
    assert (second.status, second.errors, second.output.strip()) == (4, "", "100000")


def test_the_first_ends_where_nobody_reads() -> None:
    first, second = pipe(shell("exec yes"), shell("exec head -n 1"))
    assert (first.status, first.is_unread, second.output) == (-signal.SIGPIPE, True, "y\n")


def test_the_signal_of_that_does_not_say_that_nobody_reads() -> None:
    first, second = pipe(shell("echo some; kill -PIPE $$"), shell("cat; echo all"), lambda ended: ended.is_unread)
    assert (first.status, first.is_unread, second.status) == (-signal.SIGPIPE, False, -signal.SIGKILL)
    assert "all" not in second.output


def test_what_is_not_there_leaves_nothing_that_runs() -> None:
    began = time.monotonic()
    with pytest.raises(FileNotFoundError):
        pipe(shell("sleep 60"), Program(["/nonexistent"], PLAIN))
    assert time.monotonic() - began < 10


def test_of_what_is_not_whole_the_second_sees_no_end() -> None:
    reader = shell("cat; echo all")
    _first, second = pipe(shell("echo some; exit 3"), reader, lambda ended: ended.status != 3)
    assert second.status == -signal.SIGKILL
    assert "all" not in second.output
    _first, second = pipe(shell("echo some; exit 0"), reader, lambda ended: ended.status != 3)
    assert (second.status, second.output) == (0, "some\nall\n")


def test_neither_number_is_anybody_else_s_when_what_is_left_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has ended long before the second."""
    taken: list[tuple[str, bool]] = []
    killpg = os.killpg

    def look(group: int, which: int) -> None:
        taken.append((str(group), Path(f"/proc/{group}").exists()))
        killpg(group, which)

    monkeypatch.setattr(os, "killpg", look)
    _first, second = pipe(shell("echo $$"), shell("cat; sleep 0.3; echo $$"))
    first, last = second.output.split()
    assert taken == [(last, True), (first, True)]
    assert not Path(f"/proc/{first}").exists()
