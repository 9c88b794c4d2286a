# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories, on the real file system."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.directories import (
    Directory,
    actual,
    apply,
    corrections,
    strangers,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError

USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def test_a_directory_is_made_and_corrected(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    wanted = Directory(str(path), USER, GROUP, "2750")
    assert actual(str(path)) is None
    apply(wanted, None)
    assert actual(str(path)) == wanted
    path.chmod(0o777)
    now = actual(str(path))
    assert now is not None
    assert now.line() == f"{path} {USER}:{GROUP} 0777\n"
    apply(wanted, now)
    assert actual(str(path)) == wanted


def test_parents_are_passable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        apply(Directory(str(tmp_path / "a" / "b" / "c"), USER, GROUP, "0700"), None)
    finally:
        os.umask(before)
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


def test_a_link_or_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StabilityError, match="not a directory"):
        actual(str(tmp_path / "file"))
    with pytest.raises(StabilityError, match="symbolic link"):
        actual(str(tmp_path / "link"))


def test_a_link_put_there_in_between_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "path"
    target.mkdir(mode=0o700)
    path.mkdir()
    now = actual(str(path))
    path.rmdir()
    path.symlink_to(target)
    with pytest.raises(StabilityError):
        apply(Directory(str(path), USER, GROUP, "0777"), now)
    assert target.stat().st_mode & 0o777 == 0o700


def test_an_unknown_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="nobody-has-this-name"):
        apply(Directory(str(tmp_path / "x"), "nobody-has-this-name", GROUP, "0700"), None)
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
    mode = f"{logs.stat().st_mode & 0o777:04o}"
    wanted = [Directory(str(logs), USER, GROUP, mode, contents) for contents in (False, True)]
    (found,) = corrections(wanted)
    assert set(found.strangers) == {f"{logs}/events", f"{logs}/events/1.json"}
    assert f"{logs}/events {USER}\n" in found.lines()[1]
    # a user who is yet to be made
    assert strangers(str(logs), "nobody-has-this-name") == sorted(found.strangers)
    found.make()
    assert corrections(wanted) == []
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
    path = listing / "sockets"
    wanted = Directory(str(path), USER, GROUP, "3752", users={"daemon": "rwx"})
    apply(wanted, None)
    assert corrections([wanted]) == []
    assert path.stat().st_mode & 0o7777 == 0o3772
    now = actual(str(path), listed=True)
    assert now is not None
    assert now.line() == f"{path} {USER}:{GROUP} 3752 u::rwx,u:daemon:rwx,g::r-x,m::rwx,o::-w-\n"


@pytest.mark.parametrize("drift", ["mode", "list", "default"])
def test_what_differs_in_an_access_list_is_corrected(listing: Path, drift: str) -> None:
    path = listing / "sockets"
    wanted = Directory(str(path), USER, GROUP, "3752", users={"daemon": "rwx"})
    apply(wanted, None)
    if drift == "mode":
        path.chmod(0o3770)
    elif drift == "list":
        os.removexattr(path, "system.posix_acl_access")
    else:
        os.setxattr(path, "system.posix_acl_default", os.getxattr(path, "system.posix_acl_access"))
    (found,) = corrections([wanted])
    found.make()
    assert corrections([wanted]) == []


def test_the_list_of_a_directory_without_users_of_its_own_is_left_alone(listing: Path) -> None:
    path = listing / "sockets"
    apply(Directory(str(path), USER, GROUP, "3752", users={"daemon": "rwx"}), None)
    assert corrections([Directory(str(path), USER, GROUP, "3772")]) == []


def test_the_user_of_an_access_list_must_be_there(listing: Path) -> None:
    with pytest.raises(StabilityError, match="nobody-has-this-name"):
        apply(Directory(str(listing / "x"), USER, GROUP, "0750", users={"nobody-has-this-name": "rwx"}), None)
