# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What foreign code has made becomes this user's, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.foreign_code import (
    end_processes,
    nobody_else,
    take_over,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")


def test_modes_are_those_of_a_tree_for_everybody_to_read(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir(0o700)
    (outside / "file").touch(0o600)
    (root / "deep").mkdir(0o777, parents=True)
    for name, mode in (("program", 0o6777), ("file", 0o600), ("deep/file", 0o666)):
        (root / name).touch()
        (root / name).chmod(mode)
    (root / "deep" / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "file")
    take_over(root)
    modes = {str(path.relative_to(root)): path.lstat().st_mode & 0o7777 for path in (root, *root.rglob("*"))}
    links = {"deep/link", "file-link"}
    assert {name: mode for name, mode in modes.items() if name not in links} == {
        ".": 0o755,
        "deep": 0o755,
        "program": 0o755,
        "file": 0o644,
        "deep/file": 0o644,
    }
    assert (outside.stat().st_mode & 0o777, (outside / "file").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StabilityError, match="pipe is neither"):
        take_over(tmp_path)


@needs_root
def test_what_belongs_to_another_user_becomes_root_s_and_what_a_link_leads_to_does_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.touch()
    (root / "file").touch()
    (root / "link").symlink_to(outside)
    for path in (root, root / "file", root / "link", outside):
        os.chown(path, 60_706, 60_706, follow_symlinks=False)
    take_over(root)
    assert [path.lstat().st_uid for path in (root, root / "file", root / "link", outside)] == [0, 0, 0, 60_706]


HOLDS = """
import pathlib, sys
from ansible_collections.workbot.stability.plugins.module_utils._nodejs import foreign_code
foreign_code._FREE = range(60_706, 60_708)
with foreign_code.nobody_else(pathlib.Path("/")) as identity:
    print(identity.uid, flush=True)
    sys.stdin.read()
"""


@needs_root
def test_two_runs_at_once_never_have_the_same_user_before_either_has_started_anything() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen([sys.executable, "-c", HOLDS], **pipes) for _run in range(2)]
    numbers = {run.stdout.readline().strip() for run in runs if run.stdout}
    for run in runs:
        run.communicate()
    assert numbers == {"60706", "60707"}


@needs_root
def test_the_user_is_nobody_s_and_its_processes_end_whatever_they_do(tmp_path: Path) -> None:
    with nobody_else(tmp_path) as identity:
        assert identity is not None
        assert 60_706 <= identity.uid < 61_184
        stubborn = subprocess.Popen(
            ["/bin/sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done"],
            user=identity.uid,
            group=identity.gid,
            start_new_session=True,
        )
        with nobody_else(tmp_path) as other:
            assert other is not None
            assert other.uid != identity.uid
        assert stubborn.poll() is None
        end_processes(identity)
        assert stubborn.wait(5) == -9
