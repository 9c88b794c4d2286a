# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on a host already has a name or a place that a service of the roles would take. Reads only.

Each finding is a sentence that names the variable to change. Nobody's user, directory, unit or policy is taken over.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._host.units import UnitError, unit_states
from .external_service import PM2, SYSTEMD, Existing

POLICIES = Path("/etc/logrotate.d")
# What a file system has at its root
_NOBODYS = frozenset({"lost+found"})


@dataclass(frozen=True)
class Place:
    """A directory or a file that the roles would write, and how one of theirs is known."""

    path: str
    variable: str
    marks: Sequence[str]
    """Paths of which one is in the directory, or texts of which one is in the file."""

    def conflict(self) -> str:
        """Why it can't be taken; empty when it is not there, empty, or the roles' own."""
        path = Path(self.path)
        if path.is_dir():
            names = {entry.name for entry in os.scandir(path)} - _NOBODYS
            marked = any((path / mark).exists() for mark in self.marks)
            if marked or not any(_holds_a_file(path / name) for name in names):
                return ""
            shown, wanted = ", ".join(sorted(names)[:3]), " or ".join(self.marks)
            return f"{self.variable}: {path} is somebody else's: it has {shown}, no {wanted}. Choose another one."
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if text and not any(mark in text for mark in self.marks):
            return f"{self.variable}: {path} is there already and not of these roles. Choose another name, or move it."
        return ""


def _holds_a_file(path: Path) -> bool:
    """Directories alone are what a run leaves that was ended early."""
    if not path.is_dir() or path.is_symlink():
        return True
    return any(files for _root, _folders, files in os.walk(path))


def is_ours(name: str, home: str) -> bool:
    """Whether the user is there that the roles make, before anything else: then the places were free, or are theirs."""
    try:
        return bool(home) and pwd.getpwnam(name).pw_dir == home
    except KeyError:
        return False


def user_conflict(name: str, home: str) -> str:
    """`home` is what the roles would give the user; empty where the user must be there already."""
    try:
        found = pwd.getpwnam(name).pw_dir
    except KeyError:
        return "" if home else f"service_user: there is no user {name}. Name the one that the service runs as."
    if not home or found == home:
        return ""
    return (
        f"service_user: the host has a user {name} with the home {found}, this service's would have {home}. Choose"
        " another service_name or service_user."
    )


def group_conflict(name: str) -> str:
    """Of an existing service's group, which the roles do not make."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return f"service_group: there is no group {name}. Name the one of the user that the service runs as."
    return ""


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


def rotated_elsewhere(logs: Sequence[str], own_policy: str, policies: Path = POLICIES) -> list[str]:
    """Logs that another policy rotates already: they would be renamed twice."""
    if not logs:
        return []
    wanted = {path for pattern in logs for path in _matches(pattern)}
    found = []
    for policy in sorted(policies.glob("*")):
        if str(policy) == own_policy or not policy.is_file():
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


def conflicts(
    user: tuple[str, str],
    places: Iterable[Place],
    existing: Existing | None,
    logs: Sequence[str],
    policy: str,
    *,
    group: str = "",
) -> list[str]:
    """All of them; `user` is the name and the home, see user_conflict(), `group` one that must be there.

    On a host that has the service, what of its places has drifted is put right and not refused.
    """
    found = [user_conflict(*user), *([group_conflict(group)] if group else [])]
    if not is_ours(*user):
        found += [place.conflict() for place in places]
    if existing:
        found += existing_conflicts(existing)
    return [text for text in found if text] + rotated_elsewhere(logs, policy)
