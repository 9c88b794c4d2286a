# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who owns a directory decides whether a link in it is followed: that needs another user, and so root."""

from __future__ import annotations

import os
import pwd
import resource
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import service_tree
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity, effective_user
from ansible_collections.workbot.stability.plugins.module_utils._host.service_tree import (
    directories_below,
    discard_path,
    entries,
    make_directory,
    open_directory,
    opened,
    put_link,
    read,
    write_file,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
NOBODY = Identity("nobody", pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid, "/nonexistent")


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A directory of the service's user; what leads there may be passed through."""
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    directory = tmp_path / "service"
    directory.mkdir()
    if os.geteuid() == 0:
        os.chown(directory, NOBODY.uid, NOBODY.gid)
    return directory


def test_a_link_in_an_own_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "absolute").symlink_to(tmp_path / "link/../link")
    with open_directory(tmp_path / "absolute/deep") as found:
        assert os.fstat(found).st_ino == (tmp_path / "real/deep").stat().st_ino


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"), open_directory(tmp_path / "a"):
        pass


@as_root
def test_a_link_in_a_directory_of_the_service_is_not_followed(service: Path) -> None:
    (service / "link").symlink_to("/etc")
    with pytest.raises(OSError, match="link in a directory of another user"), open_directory(service / "link"):
        pass
    (service / "passwd").symlink_to("/etc/passwd")
    for path in ("link/passwd", "passwd"):
        with pytest.raises(OSError, match=r"another user|Too many levels"):
            read(service / path, 1 << 20)


@as_root
def test_a_link_where_others_may_write_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    tmp_path.chmod(0o1777)
    with pytest.raises(OSError, match="another user"), open_directory(tmp_path / "link"):
        pass


@as_root
def test_the_services_files_are_read_with_its_own_rights(tmp_path: Path, service: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("neighbour")
    secret.chmod(0o600)
    (service / "log").symlink_to(secret)
    with pytest.raises(PermissionError):
        read(service / "log", 100, NOBODY)
    secret.chmod(0o644)
    assert read(service / "log", 100, NOBODY) == b"neighbour"


@as_root
def test_root_leaves_its_groups_behind() -> None:
    before = os.getgroups()
    os.setgroups([4, 42])
    try:
        with effective_user(NOBODY):
            assert (os.geteuid(), os.getegid()) == (NOBODY.uid, NOBODY.gid)
            assert not {0, 4, 42} & set(os.getgroups())
        assert sorted(os.getgroups()) == [4, 42]
    finally:
        os.setgroups(before)


def test_only_regular_files_of_a_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_bytes(b"x" * 10)
    assert read(tmp_path / "file", 10) == b"x" * 10
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read(tmp_path / "file", 9)
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read(path, 10)
    with pytest.raises(IsADirectoryError if os.geteuid() != 0 else OSError), opened(tmp_path):
        pass


def test_nested_directories_are_made_and_a_link_among_them_is_named(tmp_path: Path) -> None:
    owner = (os.getuid(), os.getgid())
    with open_directory(tmp_path) as top, directories_below(top, ("a", "b"), 0o750, owner) as place:
        put_link(place, "link", "target")
        put_link(place, "link", "other")
    assert (tmp_path / "a/b/link").readlink() == Path("other")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    (tmp_path / "a/c").symlink_to("b")
    with (
        open_directory(tmp_path) as top,
        pytest.raises(NotADirectoryError) as caught,
        directories_below(top, ("a", "c", "d"), 0o750, owner),
    ):
        pass
    assert caught.value.filename == "a/c"
    assert not (tmp_path / "a/b/d").exists()


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(0o711)
    with open_directory(tmp_path) as top:
        os.close(make_directory(top, "there", 0o750))
        os.close(make_directory(top, "new", 0o750))
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("there", "new")] == [0o711, 0o750]


def test_a_file_replaces_whatever_has_its_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/mark").symlink_to(outside)
    (tmp_path / "d/mark.new").symlink_to(outside)
    with open_directory(tmp_path / "d") as top:
        write_file(top, "mark", b"new", 0o644)
    assert outside.read_text() == "kept"
    assert not (tmp_path / "d/mark").is_symlink()
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["mark"]
    assert (tmp_path / "d/mark").read_bytes() == b"new"


def test_a_file_without_room_leaves_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_directory(tmp_path) as top:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                write_file(top, "mark", b"new", 0o644)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
    assert (tmp_path / "mark").read_text() == "old"


def test_a_tree_is_removed_and_nothing_behind_its_links(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("kept")
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/link").symlink_to(tmp_path / "outside")
    os.mkfifo(tmp_path / "tree/a/b/fifo")
    discard_path(tmp_path / "tree")
    discard_path(tmp_path / "tree")
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (tmp_path / "outside/file").read_text() == "kept"


def nested(directory: Path, levels: int) -> Path:
    """So many directories in one another, with a file in the last one: deeper than any path can say."""
    directory.mkdir()
    current = os.open(directory, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("d", dir_fd=current)
        following = os.open("d", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = following
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.close(current)
    return directory


def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    discard_path(nested(tmp_path / "tree", 3000))
    assert list(tmp_path.iterdir()) == []


def test_what_was_moved_out_of_the_tree_meanwhile_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upwards from there is another directory."""
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "elsewhere/b").mkdir(parents=True)
    left = service_tree._directories_left

    def moved(directory: int, *more: Any) -> list[str]:
        found = left(directory, *more)
        if not found:
            (tmp_path / "tree/a/b").rename(tmp_path / "elsewhere/c")
        return found

    monkeypatch.setattr(service_tree, "_directories_left", moved)
    before = sorted(Path("/proc/self/fd").iterdir())[:-1]
    with pytest.raises(OSError, match="was moved while it was removed"):
        discard_path(tmp_path / "tree")
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["b", "c"]
    assert sorted(Path("/proc/self/fd").iterdir())[:-1] == before


def test_of_a_tree_that_is_too_deep_the_whole_is_refused_and_the_top_is_shown(tmp_path: Path) -> None:
    (tmp_path / "beside").touch()
    nested(tmp_path / "a", 600)
    with open_directory(tmp_path) as top:
        with pytest.raises(OSError, match="nested too deeply"):
            list(entries(top, ""))
        assert [entry.path for entry in entries(top, "", whole=False)][-1] == "/beside"
    before = sorted(Path("/proc/self/fd").iterdir())[:-1]
    discard_path(tmp_path / "a")
    assert sorted(Path("/proc/self/fd").iterdir())[:-1] == before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "releases" / "one" / "node_modules").mkdir(parents=True)
    (root / "releases" / "one" / "server.js").write_text("")
    (root / ".deploy.lock").write_text("")
    return root


def test_a_link_goes_alone(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree)
    discard_path(str(link))
    assert not link.is_symlink()
    assert (tree / ".deploy.lock").exists()


def test_another_file_system_is_not_entered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it is mounted after the look at the mounts: the device differs from that of the tree."""
    fstat = service_tree.os.fstat

    def other_device(handle: int) -> object:
        status = list(fstat(handle))
        status[2] += Path(f"/proc/self/fd/{handle}").readlink().name == "node_modules"
        return service_tree.os.stat_result(status)

    (tree / "releases/one/node_modules/data").touch()
    monkeypatch.setattr(service_tree.os, "fstat", other_device)
    with pytest.raises(OSError, match="another file system begins at node_modules"):
        discard_path(tree)
    monkeypatch.undo()
    assert [path.name for path in tree.rglob("data")] == ["data"]


def test_an_entry_stays_what_it_was_when_its_name_is_given_to_another(tmp_path: Path) -> None:
    """The owner and the mode of what is under the name by then are not touched."""
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o600)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("x")
    with open_directory(tmp_path / "tree") as top:
        for entry in entries(top, "tree"):
            (tmp_path / "tree/file").rename(tmp_path / "moved")
            (tmp_path / "tree/file").symlink_to(outside)
            entry.give(os.getuid(), os.getgid(), 0o644)
    assert outside.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "moved").stat().st_mode & 0o777 == 0o644


@as_root
def test_a_link_itself_is_given(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "outside")
    with open_directory(tmp_path / "tree") as top:
        for entry in entries(top, "tree"):
            entry.give(NOBODY.uid, NOBODY.gid, 0o640)
    assert (tmp_path / "tree/link").lstat().st_uid == NOBODY.uid
    assert (tmp_path / "outside").stat().st_uid == 0
