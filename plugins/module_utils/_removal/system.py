# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service has in systemd and among the accounts of its host, and taking it from there."""

from __future__ import annotations

import contextlib
import grp
import pwd
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._deploy.lease import lease_path
from .._deploy.lease import read as read_lease
from .._host.command import call
from .._host.errors import StabilityError
from .._host.service_tree import discard_path
from .._host.units import instances_of, unit_states
from .._release.lock import at_work
from .._service.footprint import UNITS, Service
from .files import found
from .processes import end_processes

# systemd itself ends what does not stop within its TimeoutStopSec, which grows with the processes.
_STOP_SECONDS = 1800
_LAST_SYSTEM_GID = 999


@dataclass(frozen=True)
class Unit:
    """A unit as it is on the host: its files with the links that enable it, and whether systemd knows of it."""

    name: str
    files: tuple[str, ...]
    known: bool

    @property
    def there(self) -> bool:
        return bool(self.files) or self.known


def read_units(names: Sequence[str]) -> dict[str, Unit]:
    """Raises UnitError when systemd can't be asked."""
    # A template is none that systemd can tell anything about.
    states = unit_states([name for name in names if "@." not in name])
    return {name: Unit(name, unit_files(name), _is_known(states.get(name))) for name in names}


def _is_known(state: Mapping[str, str] | None) -> bool:
    """Also one without a file that still runs, or is remembered as failed."""
    return state is not None and (state["LoadState"], state["ActiveState"]) != ("not-found", "inactive")


def unit_files(name: str) -> tuple[str, ...]:
    """The links that enable it first: whoever is interrupted after them finds the unit again."""
    links = [path for kind in ("wants", "requires") for path in found(f"{UNITS}/*.{kind}/{name}")]
    return (*links, *found(f"{UNITS}/{name}.d"), *found(f"{UNITS}/{name}"))


def remove_unit(unit: Unit) -> None:
    """Stop it, and remove its files. systemd is to be told afterwards, by reload_daemon()."""
    if "@." in unit.name:
        call("systemctl", "stop", instances_of(unit.name), seconds=_STOP_SECONDS)
        # systemd keeps the group that it made for the instances of a template
        with contextlib.suppress(StabilityError):
            call("systemctl", "stop", _slice_of(unit.name))
    elif unit.known:
        call("systemctl", "stop", unit.name, seconds=_STOP_SECONDS)
    for path in unit.files:
        discard_path(path)
    if "@." not in unit.name:
        # one that failed stays in the list of failed units for ever, with or without a file
        with contextlib.suppress(StabilityError):
            call("systemctl", "reset-failed", unit.name)


def _slice_of(template: str) -> str:
    prefix = template.partition("@")[0].replace("-", r"\x2d")
    return f"system-{prefix}.slice"


@dataclass(frozen=True)
class Account:
    """A user of the host that is the service's, and its group."""

    user: str
    group: str
    uid: int | None
    gid: int | None
    foreign: bool = False
    """Whether somebody else has a user of that name."""

    @property
    def there(self) -> bool:
        return self.uid is not None or self.gid is not None

    def words(self) -> str:
        parts = [f"user {self.user}"] if self.uid is not None else []
        parts += [f"group {self.group}"] if self.gid is not None else []
        return " and ".join(parts)


def read_account(user: str, group: str, home: str) -> Account:
    """A user of that name with another home is foreign, and so is a group that others are in."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return Account(user, group, None, _own_group(group, user))
    if entry.pw_dir != home:
        return Account(user, group, None, None, foreign=True)
    return Account(user, group, entry.pw_uid, _own_group(group, user))


def _own_group(group: str, user: str) -> int | None:
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return None
    others = {member for member in entry.gr_mem if member != user}
    others |= {one.pw_name for one in pwd.getpwall() if one.pw_gid == entry.gr_gid and one.pw_name != user}
    return None if others or entry.gr_gid > _LAST_SYSTEM_GID else entry.gr_gid


def remove_account(account: Account, patience: float) -> None:
    """`patience`: seconds for what still runs as the user. Raises StabilityError."""
    if account.uid is not None:
        # What was started since the plan was made would go on under a number that another user can get.
        end_processes(account.uid, patience)
        call("userdel", account.user)
    # userdel takes a group of the same name with it
    if account.gid is not None and _own_group(account.group, account.user) is not None:
        call("groupdel", account.group)


def refuse_foreign_homes(service: Service, trees: Sequence[str]) -> None:
    """StabilityError where a user of something else lives in what would be removed."""
    for entry in pwd.getpwall():
        if entry.pw_name in (service.user, service.alert_user):
            continue
        inside = [tree for tree in trees if entry.pw_dir == tree or entry.pw_dir.startswith(f"{tree}/")]
        if inside:
            raise StabilityError(
                f"{inside[0]} holds {entry.pw_dir}, the home of the user {entry.pw_name}, which is not "
                f"{service.name}'s. Move it away, or set the service's directories right. Nothing was changed."
            )


def refuse_deployment(releases: Path) -> None:
    """Before anything changes on the first host; that no deployment begins later is what the lock is for."""
    if not releases.is_dir():
        return
    if holder := at_work(releases):
        raise StabilityError(f"A deployment is at work: {holder}. Nothing was changed.")
    lease = read_lease(lease_path(releases))
    if lease and time.time() < lease.until:
        until = time.strftime("%H:%M:%S %Z", time.localtime(lease.until))
        raise StabilityError(
            f"A deployment over several hosts is at work: {lease.what} by {lease.who}. If it has died, its lease on "
            f"this host ends at {until}. Nothing was changed."
        )
