# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a service's files: the same of the same files, and what is said of those that differ from it."""

from __future__ import annotations

import dataclasses
import os
import pwd
import shutil
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import PLAIN, Identity, Program
from ansible_collections.workbot.stability.plugins.module_utils._host.pipe import Ended, pipe
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.archive import (
    comparing,
    damaged,
    is_whole,
    packing,
    unpacking,
    unreadable,
    unwritten,
)

ODD = ("a.txt", "of: two", "b[1]*.txt", "-rf", "über\nzwei")


def mine(program: Program) -> Program:
    """As whoever runs the tests."""
    return dataclasses.replace(program, identity=None)


@pytest.fixture
def me() -> Identity:
    return Identity.of(pwd.getpwuid(os.getuid()).pw_name)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    files = tmp_path / "shared" / "uploads"
    files.mkdir(parents=True)
    for name in ODD:
        (files / name).write_text(name)
    (files / "link").symlink_to("/etc/passwd")
    (files / "again").hardlink_to(files / "a.txt")
    return files.parent


@pytest.fixture
def packed(shared: Path, me: Identity) -> Path:
    return stored(shared, me)


def stored(shared: Path, me: Identity) -> Path:
    path = shared.with_name(f"{time.monotonic_ns()}.tar")
    done, _wrote = pipe(mine(packing(str(shared), me)), Program(["/bin/dd", f"of={path}", "status=none"], PLAIN))
    assert (done.status, done.errors) == (0, "")
    return path


def compared(packed: Path, shared: Path, me: Identity, since: float) -> list[str]:
    said = pipe(Program(["/bin/cat", str(packed)], PLAIN), mine(comparing(str(shared), me)))[1]
    assert unreadable(said.errors) == ""
    return damaged(said.output, str(shared), me, since)


def test_the_same_files_are_the_same_archive(shared: Path, packed: Path, me: Identity) -> None:
    (shared / "uploads" / "a.txt").read_text()
    assert stored(shared, me).read_bytes() == packed.read_bytes()


def rotten(path: Path) -> None:
    """Other bytes, of which the file's times know nothing, but for that of the change itself."""
    seen = path.stat()
    path.write_text("x" * seen.st_size)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def test_only_what_nobody_has_changed_is_damaged(shared: Path, packed: Path, me: Identity) -> None:
    assert compared(packed, shared, me, time.time() + 60) == []
    (shared / "uploads" / "link").unlink()
    (shared / "uploads" / "-rf").unlink()
    (shared / "uploads" / "-rf").mkdir()
    (shared / "uploads" / "b[1]*.txt").write_text("else")
    (shared / "uploads" / "again").unlink()
    for name in ("a.txt", "of: two"):
        rotten(shared / "uploads" / name)
    assert compared(packed, shared, me, time.time() + 60) == ["uploads/a.txt", "uploads/of: two"]
    assert compared(packed, shared, me, time.time() - 60) == []


def test_a_directory_that_is_another_kind_by_now_is_no_damage(shared: Path, packed: Path, me: Identity) -> None:
    shutil.rmtree(shared / "uploads")
    (shared / "uploads").write_text("a file")
    assert compared(packed, shared, me, time.time() + 60) == []


def test_a_name_leads_to_no_other_directory(shared: Path, me: Identity, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    said = "\n".join(f"{name}: Contents differ" for name in ("./../secret", f"{tmp_path}/secret", "./..", "x"))
    assert damaged(said, str(shared), me, time.time() + 60) == []


def test_what_ends_early_is_told_from_what_can_not_be_read() -> None:
    closed = "tar: ./a: Cannot open: Permission denied\ntar: Exiting with failure status due to previous errors\n"
    assert (is_whole(Ended(2, closed)), unwritten(closed)) == (True, "tar: ./a: Cannot open: Permission denied")
    assert not is_whole(Ended(2, "tar: /srv: Cannot open: No such file\ntar: Error is not recoverable: exiting now\n"))
    assert not is_whole(Ended(-9, ""))
    assert (is_whole(Ended(-13, "")), is_whole(Ended(-13, "", is_unread=True))) == (False, True)


def test_what_is_no_archive_is_said_to(shared: Path, packed: Path, me: Identity) -> None:
    packed.write_bytes(packed.read_bytes().replace(b"ustar", b"USTAR"))
    said = pipe(Program(["/bin/cat", str(packed)], PLAIN), mine(comparing(str(shared), me)))[1]
    assert "does not look like a tar archive" in unreadable(said.errors)


@pytest.mark.parametrize("path", ["", "uploads", "uploads/b[1]*.txt", "uploads/-rf", "uploads/a.txt", "uploads/again"])
def test_all_or_a_part_is_unpacked(shared: Path, packed: Path, me: Identity, path: str) -> None:
    target = shared.with_name("restored")
    target.mkdir()
    done = pipe(Program(["/bin/cat", str(packed)], PLAIN), mine(unpacking(str(target), me, path)))[1]
    assert (done.status, done.errors) == (0, "")
    found = sorted(each.name for each in target.rglob("*") if not each.is_dir())
    assert found == ([Path(path).name] if path.count("/") else sorted((*ODD, "link", "again")))
