# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on a host already has a name or a place that a service of the roles would take, or does not fit. Reads only.

Each finding is a sentence that names the variable to change. Nobody's user, directory, unit or policy is taken over.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from .._host import proc
from .._host.accounts import Account, actual, group_name, has_group
from .._host.service_tree import entries, open_directory
from .._host.units import UnitError, instances_of, unit_states
from .._service.footprint import Service, Step, Thing, belongings, config_files
from .external_service import PM2, SYSTEMD, Existing

POLICIES = Path("/etc/logrotate.d")
SYSTEM_UNITS = Path("/usr/lib/systemd/system")
TMPFILES = Path("/etc/tmpfiles.d")
# Debian's own groups have the numbers below.
_FIRST_DYNAMIC = 100
_RUN_BITS = stat.S_ISVTX | stat.S_ISGID
# Paths of its own, in directories that are root's
_LOOKED_AT = (
    Step.WATCHING,
    Step.SITE,
    Step.CERTIFICATE,
    Step.PM2,
    Step.FILES,
    Step.EMPTIED,
    Step.LAST_SITE,
    Step.TRUST,
)
_MB = 1024 * 1024
# What a file system has at its root
_NOBODYS = frozenset({"lost+found"})


def conflict(thing: Thing) -> str:
    """Why its place can't be taken; empty when it is not there, empty, or the roles' own."""
    path = Path(thing.path)
    if thing.is_marked(path):
        return ""
    if not path.is_dir():
        return f"{thing.variable}: {path} is there already and not of these roles. Choose another name, or move it."
    names = {entry.name for entry in os.scandir(path)} - _NOBODYS
    if not any(_holds_a_file(path / name) for name in names):
        return ""
    shown, wanted = ", ".join(sorted(names)[:3]), " or ".join(thing.marks)
    return f"{thing.variable}: {path} is foreign: it has {shown}, no {wanted}. Choose another one."


def misplaced(thing: Thing) -> str:
    """Why it can't be made where something of another kind is; a link in the place of a file is replaced."""
    path = Path(thing.path)
    is_directory = path.is_dir() and not path.is_symlink()
    if not os.path.lexists(path) or is_directory == thing.directory:
        return ""
    kind = "a symbolic link" if path.is_symlink() else "a directory" if is_directory else "a file"
    expected = "a directory" if thing.directory else "a file"
    return f"{path} is {kind}, and {expected} of the service's belongs there. Move it away, or change {thing.variable}."


def _holds_a_file(path: Path) -> bool:
    """Directories alone are what a run leaves that was ended early."""
    if not path.is_dir() or path.is_symlink():
        return True
    with open_directory(path) as top:
        return any(not entry.is_directory for entry in entries(top, str(path), whole=False))


def _has_of(path: Path, uid: int) -> bool:
    """Whether the directory is that user's, or has something of his in it. Where all may write, that says nothing."""
    if not path.is_dir():
        return False
    found = path.stat()
    if found.st_mode & (stat.S_ISVTX | stat.S_IWOTH):
        return False
    return found.st_uid == uid or any(entry.stat(follow_symlinks=False).st_uid == uid for entry in os.scandir(path))


def run_directory_conflict(path: Path, declared: Path) -> str:
    """The roles' own has the sticky bit and hands its group down: nobody else's in /run looks like that.

    With another mode it is theirs where the service's file of systemd-tmpfiles, ``declared``, makes it at boot.
    """
    if not path.is_dir() or path.stat().st_mode & _RUN_BITS == _RUN_BITS or not any(os.scandir(path)):
        return ""
    if declared.is_file() and f" {path} " in declared.read_text(encoding="utf-8", errors="replace"):
        return ""
    return f"service_run_directory: {path} is foreign. Choose another one."


def group_conflict(name: str, user: Account | None) -> str:
    """Empty also for a group without anybody in it, which is what a run leaves that was ended early."""
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return ""
    members = {*group.gr_mem, *(entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == group.gr_gid)}
    others = sorted(members - ({user.name} if user else set()))
    if group.gr_gid >= _FIRST_DYNAMIC and not others:
        return ""
    whose = f"of {', '.join(others)}" if others else "of the system"
    return f"service_group: {name} is a group {whose}, and gives its rights to the service. Choose another one."


def group_in_use_conflict(service: Service) -> str:
    """A process keeps the group it was started with, whatever has become of that: it was renamed, or is another now.

    It could not read what the group of the name is given, and nor could what it starts.
    """
    names = [thing.unit for thing in belongings(service, Step.WATCHING, Step.PM2)]
    try:
        uid = pwd.getpwnam(service.user).pw_uid
        units = unit_states([instances_of(name) for name in names if name.endswith(".service")])
    except (KeyError, UnitError):
        return ""
    pids = {name: int(state.get("MainPID") or 0) for name, state in units.items()}
    groups = {name: proc.group(pid) for name, pid in pids.items() if pid and proc.user(pid) == uid}
    desired = grp.getgrnam(service.group).gr_gid if has_group(service.group) else None
    others = {name: group for name, group in groups.items() if group not in (None, desired)}
    if not others:
        return ""
    running, held = " ".join(others), group_name(next(group for group in others.values() if group is not None))
    back = f" If it was renamed: groupmod --new-name {service.group} {held}." if desired is None else ""
    return (
        f"service_group: what runs as {service.user} has the group {held}, and could not read what a run gives to"
        f" {service.group}.{back} Otherwise: systemctl stop {running}; the run starts that again, with its new group."
    )


def unit_conflict(name: str, directory: Path = SYSTEM_UNITS) -> str:
    """Whether a unit of a package has the name: the service's would take its place."""
    for path in (directory / f"{name}.service", directory / f"{name}@.service"):
        if path.exists():
            return f"service_name: {path} is a package's unit, and the service's would hide it. Choose another name."
    return ""


def user_conflict(name: str, home: str) -> str:
    """`home` is what the roles would give the user; empty where the user must be there already."""
    found = actual(name)
    if found is None:
        return "" if home else f"service_user: there is no user {name}. Name the one that the service runs as."
    if not home or found.home == home:
        return ""
    return (
        f"service_user: the host has a user {name} with the home {found.home}, this service's would have {home}. Choose"
        " another service_name or service_user."
    )


def disk_conflict(directory: Path, reserved: int) -> str:
    """Whether its disk is smaller than these bytes. The plan judges the disks that facts tell of: no container's."""
    there = next(path for path in (directory, *directory.parents) if path.is_dir())
    size = shutil.disk_usage(there).total
    if reserved <= size:
        return ""
    return (
        f"service_reserved_disk: not enough disk: {reserved // _MB}M reserved, of {size // _MB}M that the whole disk of"
        f" {directory} has. Reserve less, or take a larger disk."
    )


def existing_conflicts(existing: Existing) -> list[str]:
    """Where the declared service is not what was said of it. One that is down at this moment is no conflict."""
    found = []
    try:
        _port = existing.port
    except ValueError as error:
        found.append(f"service_external_url: {existing.url}: {error}.")
    if existing.supervisor == PM2 and not Path(existing.pm2_home).is_dir():
        found.append(f"service_external_pm2_home: there is no {existing.pm2_home}. See PM2_HOME of the service's PM2.")
    if existing.supervisor == SYSTEMD or (existing.supervisor == PM2 and existing.unit):
        found += _unit_conflict(existing.unit)
    return found


def _unit_conflict(unit: str) -> list[str]:
    try:
        state = unit_states([unit]).get(unit, {})
    except UnitError as error:
        return [f"service_external_unit: {error}"]
    if state.get("LoadState") == "loaded":
        return []
    return [f"service_external_unit: systemd has no unit {unit}. See `systemctl list-units`."]


def rotated_elsewhere(logs: Sequence[str], own: str, policies: Path = POLICIES) -> list[str]:
    """Logs that another policy than the one called `own` rotates already: they would be renamed twice."""
    if not logs:
        return []
    wanted = {path for pattern in logs for path in _matches(pattern)}
    found = []
    for policy in sorted(policies.glob("*")):
        if policy.name == own or not policy.is_file():
            continue
        patterns = named_logs(policy.read_text(encoding="utf-8", errors="replace"))
        both = wanted & {path for pattern in patterns for path in _matches(pattern)}
        if both:
            found.append(
                f"service_external_logs: {', '.join(sorted(both))} is rotated by {policy} already. Leave it out, or"
                " remove it there."
            )
    return found


def named_logs(policy: str) -> list[str]:
    """The files that a policy of logrotate's names before its blocks."""
    text = re.sub(r"\{[^}]*\}", "\n", re.sub(r"^\s*#.*$", "", policy, flags=re.MULTILINE))
    return re.findall(r'(?:^|(?<=[\s"]))/[^\s"{}]+', text)


def _matches(pattern: str) -> set[str]:
    """The pattern itself, since its files may come later, and the files that there are."""
    return {pattern, *map(str, Path("/").glob(pattern.lstrip("/")))}


def conflicts(service: Service, existing: Existing | None, logs: Sequence[str], reserved_disk: int = 0) -> list[str]:
    """All of them; `logs` are what the roles would rotate of an existing service, `reserved_disk` is in bytes.

    On a host that has the user as the roles make it, before anything else, what is named after the service was free or
    is its own: what of it has drifted is put right and not refused, unless it is of another kind. A directory that a
    variable names may be another one by now. The user and group of an existing service must be there.
    """
    home = "" if service.tools_only else service.home
    found = [user_conflict(service.user, home)]
    if service.tools_only and not has_group(service.group):
        found.append(
            f"service_group: there is no group {service.group}. Name the one of the user that the service runs as."
        )
    user = actual(service.user)
    uid = pwd.getpwnam(service.user).pw_uid if home and user and user.home == home else None
    for place in [*belongings(service, *_LOOKED_AT), *config_files(service)]:
        named = place.variable == "service_name"
        own = uid is not None and (named or _has_of(Path(place.path), uid))
        found.append(misplaced(place) or (conflict(place) if place.marks and not own else ""))
    if not service.tools_only:
        found.append(unit_conflict(service.name))
        found.append(run_directory_conflict(Path(service.run_directory), TMPFILES / f"{service.name}.conf"))
        found.append(group_conflict(service.group, user if uid is not None else None))
        found.append(group_in_use_conflict(service))
    found.append(disk_conflict(Path(service.directory), reserved_disk))
    if existing:
        found += existing_conflicts(existing)
    return [text for text in dict.fromkeys(found) if text] + rotated_elsewhere(logs, service.name)
