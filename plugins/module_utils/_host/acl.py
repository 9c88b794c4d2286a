# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access lists (POSIX ACLs) of directories, in the text form of acl(5): no host needs a package for them.

An access list stands in an extended attribute, whose form linux/posix_acl_xattr.h gives: a version, then for each entry
its kind, its permissions and the number of a user or group.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import struct
from collections.abc import Mapping
from operator import itemgetter

from .accounts import user_name

_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_HEAD, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION = 2
_NOBODY = 0xFFFFFFFF
_OWNER, _USER, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_KINDS = {_OWNER: "u", _USER: "u", _GROUP: "g", 0x08: "g", _MASK: "m", _OTHER: "o"}
_NONE = (errno.ENODATA, errno.EOPNOTSUPP)


def text(mode: int, users: Mapping[str, str]) -> str:
    """What `users` (permissions such as "rwx" by name) may do beside the owner, the group and the others of `mode`.

    "" where there are none.
    """
    if not users:
        return ""
    group = mode >> 3 & 7
    mask = group
    for permissions in users.values():
        mask |= _number(permissions)
    named = [f"u:{name}:{_letters(_number(permissions))}" for name, permissions in sorted(users.items())]
    others = [f"g::{_letters(group)}", f"m::{_letters(mask)}", f"o::{_letters(mode & 7)}"]
    return ",".join([f"u::{_letters(mode >> 6 & 7)}", *named, *others])


def bits(listed: str, kind: str) -> int | None:
    """What the entry of that kind ("g" for the group, "m" for the mask) allows; None where there is none."""
    found = re.search(rf"(?:^|,){kind}::([r-][w-][x-])", listed)
    return _number(found[1]) if found else None


def read(path: str | int) -> str:
    """The access list of that directory, "" for none; a default one, which its files would get, follows."""
    default = _listed(_attribute(path, _DEFAULT))
    return _listed(_attribute(path, _ACCESS)) + (f" default {default}" if default else "")


def packed(listed: str) -> bytes:
    """The list as the kernel takes it; none for "". Raises KeyError for a user who is not there."""
    if not listed:
        return b""
    # in the order of their kinds, and within one by number
    entries = sorted((_entry(part) for part in listed.split(",")), key=itemgetter(0, 2))
    return _HEAD.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)


def write(handle: int, attribute: bytes) -> None:
    """Set the access list of an open directory, or remove it where there is to be none; it gets no default one."""
    if attribute:
        os.setxattr(handle, _ACCESS, attribute)
    for name in (_DEFAULT,) if attribute else (_ACCESS, _DEFAULT):
        if _attribute(handle, name):
            os.removexattr(handle, name)


def _entry(part: str) -> tuple[int, int, int]:
    kind, name, permissions = part.split(":")
    number = pwd.getpwnam(name).pw_uid if name else _NOBODY
    found = next(tag for tag, letter in _KINDS.items() if letter == kind)
    return _USER if name else found, _number(permissions), number


def _listed(attribute: bytes) -> str:
    return ",".join(_part(*entry) for entry in _ENTRY.iter_unpack(attribute[_HEAD.size :]))


def _part(kind: int, permissions: int, number: int) -> str:
    name = "" if number == _NOBODY else user_name(number)
    return f"{_KINDS.get(kind, '?')}:{name}:{_letters(permissions)}"


def _attribute(path: str | int, name: str) -> bytes:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno in _NONE:
            return b""
        raise


def _letters(permissions: int) -> str:
    return "".join(letter if permissions & bit else "-" for bit, letter in ((4, "r"), (2, "w"), (1, "x")))


def _number(permissions: str) -> int:
    return sum(bit for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if letter in permissions)
