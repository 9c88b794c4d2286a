# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System accounts of a service: a user that nobody logs in as, and its group."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass

from .command import quiet_run
from .errors import StabilityError

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
    """Return the user as it is, None where there is none."""
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
    """Whether the host has a group of that name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def apply(wanted: Account, now: Account | None) -> None:
    """Make ``wanted`` true. Raises StabilityError."""
    if not has_group(wanted.group):
        _run("groupadd", "--system", wanted.group)
    options = ["--gid", wanted.group, "--shell", wanted.shell, "--comment", wanted.comment]
    if now is None:
        _run("useradd", "--system", "--no-create-home", "--home-dir", wanted.home, *options, wanted.name)
    elif now != wanted:
        _run("usermod", "--home", wanted.home, *options, wanted.name)


def _run(*argv: str) -> None:
    done = quiet_run(argv)
    if done.returncode:
        raise StabilityError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
