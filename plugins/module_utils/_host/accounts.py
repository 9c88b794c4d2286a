# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System accounts of a service: a user that nobody logs in as, and its group."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from .command import call

_SHELL = "/usr/sbin/nologin"
_SHADOW = Path("/etc/shadow")
# Each of them makes its members root, or shows them what root alone may read.
_POWERFUL = frozenset({"root", "sudo", "disk", "shadow", "kmem", "docker", "lxd", "incus-admin", "libvirt"})


@dataclass(frozen=True)
class Account:
    """A user as it is or should be."""

    name: str
    group: str
    home: str
    comment: str = ""
    shell: str = _SHELL
    powers: tuple[str, ...] = ()
    """Groups that make it as good as root."""
    has_login: bool = False
    """Whether a password lets somebody in as this user, or none is asked for."""

    def line(self) -> str:
        more = f", in the groups {' '.join(self.powers)}" if self.powers else ""
        more += ", with a password or none at all" if self.has_login else ""
        what = f"group {self.group}, home {self.home}, shell {self.shell}, comment {self.comment!r}{more}"
        return f"user {self.name}: {what}\n"


def actual(name: str) -> Account | None:
    """The user as it is, None where there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    group, powers = group_name(found.pw_gid), tuple(sorted(_POWERFUL.intersection(_groups(name))))
    return Account(name, group, found.pw_dir, found.pw_gecos, found.pw_shell, powers, _has_login(name))


def _groups(name: str) -> list[str]:
    """Those that the user is in beside its own."""
    return [group.gr_name for group in grp.getgrall() if name in group.gr_mem]


def _has_login(name: str) -> bool:
    """A password that begins with one of these is nobody's. Who is not root is not told."""
    text = _SHADOW.read_text(encoding="utf-8", errors="replace") if os.access(_SHADOW, os.R_OK) else ""
    lines = (line.split(":") for line in text.splitlines())
    return any(not fields[1].startswith(("!", "*")) for fields in lines if fields[0] == name)


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
        kept = ",".join(group for group in _groups(desired.name) if group not in _POWERFUL)
        options += ["--groups", kept] if now.powers else []
        options += ["--password", "!"] if now.has_login else []
        call("usermod", "--home", desired.home, *options, desired.name)
