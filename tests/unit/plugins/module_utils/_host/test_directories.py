# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories, on the real file system."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import acl
from ansible_collections.workbot.stability.plugins.module_utils._host.directories import strangers
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import (
    Change,
    Entry,
    Transaction,
    actual_directory,
    change_of_directory,
)

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def directory(mode: int, **users: str) -> Entry:
    return Entry(b"", mode, USER, GROUP, directory=True, access=acl.text(mode, users))


def make(path: Path, desired: Entry) -> None:
    Transaction().make([Change(str(path), None, desired)])


def test_a_directory_is_made_and_corrected(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    desired = directory(0o2750)
    assert actual_directory(str(path)) is None
    make(path, desired)
    assert actual_directory(str(path)) == desired
    path.chmod(0o777)
    found = change_of_directory(str(path), desired)
    assert found is not None
    assert (found.diff()["before"], found.diff()["after"]) == (f"{USER}:{GROUP} 0777\n", f"{USER}:{GROUP} 2750\n")
    make(path, desired)
    assert actual_directory(str(path)) == desired


def test_parents_are_passable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make(tmp_path / "a" / "b" / "c", directory(0o700))
    finally:
        os.umask(before)
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


def test_a_link_or_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StabilityError, match="not a directory"):
        actual_directory(str(tmp_path / "file"))
    with pytest.raises(StabilityError, match="symbolic link"):
        actual_directory(str(tmp_path / "link"))


def test_a_link_put_there_in_between_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "path"
    target.mkdir(mode=0o700)
    path.symlink_to(target)
    with pytest.raises(StabilityError):
        make(path, directory(0o777))
    assert target.stat().st_mode & 0o777 == 0o700


def test_an_unknown_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="nobody-has-this-name"):
        make(tmp_path / "x", replace(directory(0o700), owner="nobody-has-this-name"))
    assert not (tmp_path / "x").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_was_another_users_is_handed_over(tmp_path: Path) -> None:
    other, logs, secret = pwd.getpwnam("daemon"), tmp_path / "logs", tmp_path / "secret"
    (logs / "events").mkdir(parents=True)
    (logs / "events" / "1.json").touch()
    for path in (logs / "events", logs / "events" / "1.json"):
        os.chown(path, other.pw_uid, other.pw_gid)
    secret.touch()
    os.chown(secret, other.pw_uid, other.pw_gid)
    (logs / "link").symlink_to(secret)
    (logs / "second-name").hardlink_to(secret)
    desired = directory(logs.stat().st_mode & 0o777)
    assert change_of_directory(str(logs), desired) is None
    found = change_of_directory(str(logs), desired, contents=True)
    assert found is not None
    assert set(found.strangers) == {f"{logs}/events", f"{logs}/events/1.json"}
    assert f"{logs}/events {USER}\n" in found.diff()["after"]
    # a user who is yet to be made
    assert strangers(str(logs), "nobody-has-this-name") == sorted(found.strangers)
    Transaction().make([found])
    assert change_of_directory(str(logs), desired, contents=True) is None
    assert (logs / "events" / "1.json").owner() == USER
    assert secret.owner() == "daemon"
    # here USER is root, whose files another owner of the directory does not get
    assert strangers(str(logs), "daemon") == []


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A directory of a file system that knows access lists."""
    try:
        os.setxattr(tmp_path, "system.posix_acl_access", b"\x02\0\0\0")
    except OSError:
        pytest.skip("this file system has no access lists")
    return tmp_path


def test_a_user_has_permissions_of_its_own(listing: Path) -> None:
    path, desired = listing / "sockets", directory(0o3752, daemon="rwx")
    make(path, desired)
    assert change_of_directory(str(path), desired) is None
    assert path.stat().st_mode & 0o7777 == 0o3772
    now = actual_directory(str(path))
    assert now is not None
    assert now.attributes() == f"{USER}:{GROUP} 3752 u::rwx,u:daemon:rwx,g::r-x,m::rwx,o::-w-\n"


@pytest.mark.parametrize("drift", ["mode", "list", "default"])
def test_what_differs_in_an_access_list_is_corrected(listing: Path, drift: str) -> None:
    path, desired = listing / "sockets", directory(0o3752, daemon="rwx")
    make(path, desired)
    if drift == "mode":
        path.chmod(0o3770)
    elif drift == "list":
        os.removexattr(path, "system.posix_acl_access")
    else:
        os.setxattr(path, "system.posix_acl_default", os.getxattr(path, "system.posix_acl_access"))
    found = change_of_directory(str(path), desired)
    assert found is not None
    Transaction().make([found])
    assert change_of_directory(str(path), desired) is None


def test_the_list_of_a_directory_without_users_of_its_own_is_removed(listing: Path) -> None:
    path, desired = listing / "logs", directory(0o750)
    make(path, directory(0o750, daemon="rwx"))
    os.setxattr(path, "system.posix_acl_default", os.getxattr(path, "system.posix_acl_access"))
    found = change_of_directory(str(path), desired)
    assert found is not None
    assert "u:daemon:rwx" in found.diff()["before"]
    Transaction().make([found])
    assert change_of_directory(str(path), desired) is None
    assert path.stat().st_mode & 0o7777 == 0o750
    assert os.listxattr(path) == []


def test_the_user_of_an_access_list_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="nobody-has-this-name"):
        make(tmp_path / "x", replace(directory(0o750), access="u::rwx,u:nobody-has-this-name:rwx,g::r-x,m::rwx,o::---"))
    assert not (tmp_path / "x").exists()
