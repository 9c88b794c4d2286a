# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System accounts of a service: a user that nobody logs in as, and its group."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass

from .command import call

_SHELL = "/usr/sbin/nologin"


@dataclass(frozen=True)
class Account:
    """A user as it is or should be."""

    name: str
    group: str
    home: str
    comment: str = ""
    shell: str = _SHELL

    def line(self) -> str:
        return f"user {self.name}: group {self.group}, home {self.home}, shell {self.shell}, comment {self.comment!r}\n"


def actual(name: str) -> Account | None:
    """The user as it is, None where there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, group_name(found.pw_gid), found.pw_dir, found.pw_gecos, found.pw_shell)


def user_name(uid: int) -> str:
    """The user's name; its number where the host has no such user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group's name; its number where the host has no such group."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def apply(desired: Account, now: Account | None) -> None:
    """Make the user, or correct it, and make its group where it is missing. Raises StabilityError."""
    if not has_group(desired.group):
        call("groupadd", "--system", desired.group)
    options = ["--gid", desired.group, "--shell", desired.shell, "--comment", desired.comment]
    if now is None:
        call("useradd", "--system", "--no-create-home", "--home-dir", desired.home, *options, desired.name)
    else:
        call("usermod", "--home", desired.home, *options, desired.name)
