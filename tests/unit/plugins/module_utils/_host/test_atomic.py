# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and links are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import (
    Ownership,
    point,
    remove,
    remove_tree,
    write,
)

MINE = Ownership(os.getuid(), os.getgid(), 0o600)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_only_when_something_differs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write(path, b"one", MINE)
    inode = path.stat().st_ino
    assert not write(path, b"one", MINE)
    assert path.stat().st_ino == inode
    path.chmod(0o644)
    assert write(path, b"one", MINE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert write(path, b"two", MINE)
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["file"]


def test_a_link_in_its_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"one")
    (tmp_path / "file").symlink_to("elsewhere")
    assert write(tmp_path / "file", b"one", MINE)
    assert not (tmp_path / "file").is_symlink()


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file", b"one", MINE)
    assert names(tmp_path) == ["file"]


def test_a_link_is_made_moved_and_removed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    assert point(link, tmp_path / "a")
    assert not point(link, tmp_path / "a")
    # what a killed run left
    (tmp_path / ".link.next").symlink_to("x")
    assert point(link, tmp_path / "b")
    assert link.readlink() == tmp_path / "b"
    assert point(link, None)
    assert not point(link, None)
    assert names(tmp_path) == []


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "file")
    remove_tree(tmp_path / "tree")
    (tmp_path / "tree/inner").mkdir(parents=True)
    remove_tree(tmp_path / "tree")
    assert names(tmp_path) == []
