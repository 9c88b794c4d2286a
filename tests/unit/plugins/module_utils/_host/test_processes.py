# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import (
    MissingLibraryError,
    ProcessError,
    load_library,
    pid_of_file,
    read_trees,
)

PARENT = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A real process with one child."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=-1, stdout=-1, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        os.killpg(process.pid, 9)


def test_the_whole_tree_is_read(parent: subprocess.Popen[str]) -> None:
    (tree,) = read_trees([("app", parent.pid)])
    assert tree.processes[0].pid == parent.pid
    assert len(tree.processes) == 2
    assert tree.rss == sum(process.rss for process in tree.processes) > 1 << 20
    assert tree.pss is not None
    assert 0 < tree.pss <= tree.rss


def test_a_process_that_is_gone_is_left_out() -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    assert read_trees([("gone", gone.pid)]) == []


def test_a_pid_file_names_its_process(tmp_path: Path, parent: subprocess.Popen[str]) -> None:
    path = tmp_path / "app.pid"
    path.write_text(f"{parent.pid}\n")
    assert pid_of_file(str(path)) == parent.pid


def test_a_pid_file_older_than_the_process_of_its_number_is_left_over(
    tmp_path: Path, parent: subprocess.Popen[str]
) -> None:
    path = tmp_path / "app.pid"
    path.write_text(str(parent.pid))
    os.utime(path, (0, 1_000_000_000))
    with pytest.raises(ProcessError, match="left over"):
        pid_of_file(str(path))


@pytest.mark.parametrize("content", ["", "abc", "-1", "0", "1 2", "٣", "9" * 30, "4194305"])
def test_a_pid_file_without_a_running_process_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "app.pid"
    path.write_text(content)
    with pytest.raises(ProcessError, match=r"instead of a process id|does not run"):
        pid_of_file(str(path))


def test_a_missing_pid_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="is the service started"):
        pid_of_file(str(tmp_path / "gone.pid"))


def test_a_missing_library_names_debians_package() -> None:
    with pytest.raises(MissingLibraryError, match="python3-nosuch"):
        load_library("nosuch_library", "python3-nosuch")


def test_a_pid_file_of_a_user_names_no_process_of_another_one(tmp_path: Path) -> None:
    path = tmp_path / "app.pid"
    path.write_text("1")
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    with pytest.raises(ProcessError, match="names process 1 of another user"):
        pid_of_file(str(path))


def test_nobody_waits_for_a_fifo_as_pid_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.pid")
    with pytest.raises(ProcessError, match="not a regular file"):
        pid_of_file(str(tmp_path / "app.pid"))
