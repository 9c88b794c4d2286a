# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking one service off a host: first what watches it, then its site, then its processes, then all that is left.

The plan is made from what is there, so a second run has nothing to do, and one after a run that was killed goes on
where that one was. Whatever is needed to find the rest (the user, by whom processes are known) goes last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .._acme.order import remove as remove_certificate
from .._deploy.teardown import drain
from .._host import trust_store
from .._host.errors import StabilityError
from .._host.service_tree import discard_path
from .._host.units import reload_daemon
from .._host.unix_sockets import connections
from .._nginx.apply import Result
from .._nginx.apply import apply as apply_site
from .._nginx.ledger import Ledger
from .._nginx.plan import Desired
from .._nginx.staging import Layout
from .._nginx.transaction import read_entry
from .._release.lock import build_lock_path, deploy_lock, lock_path
from .._service.footprint import Service, Step, Thing, belongings
from .database import Database, access_files, close_access, drop, read_database, reload
from .files import (
    barrier,
    becomes_empty,
    found,
    holds_more,
    inner_mounts,
    is_foreign,
    mount_points,
    removable,
)
from .processes import end_processes, processes_of
from .system import (
    Account,
    Unit,
    read_account,
    read_units,
    refuse_deployment,
    refuse_foreign_homes,
    remove_account,
    remove_unit,
)

FOREIGN = "is foreign"
# As nginx_reload_announce is by default: the neighbours' clients open another connection before the reload.
_ANNOUNCED_SECONDS = 5
# In the first lines of what the roles write.
_MARK = b"Ansible managed"
_MARK_WITHIN = 200
SHARED_PROGRAMS = {"Nginx": "/usr/sbin/nginx", "PostgreSQL": "/usr/bin/psql"}


@dataclass(frozen=True)
class Removal:
    """What is to be done. Times in seconds: for connections to end, and for processes that nobody supervises."""

    service: Service
    data: bool = False
    revoke: bool = False
    """Whether the authority is to revoke the certificate."""
    drain_time: float = 60
    patience: float = 15


@dataclass(frozen=True)
class Action:
    """Things that go together, one line for each, and what takes them away."""

    words: tuple[str, ...]
    act: Callable[[], object]


@dataclass
class Plan:
    """What there is to do, and what stays and why."""

    root: str = ""
    """The service's directory. Nothing goes behind a link or one of the mount points in it."""
    mounts: frozenset[str] = frozenset()
    actions: list[Action] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    """What of the service is data on this host, whether it goes or not."""
    kept: list[str] = field(default_factory=list)
    """Data that stays because it was not said twice, and what is needed for it."""
    left: list[str] = field(default_factory=list)
    """What the removal does not touch, each with the reason."""
    problem: str = ""
    """Why some of the data can't be removed at the moment."""

    def words(self) -> list[str]:
        """A line for each thing that goes."""
        return [line for action in self.actions for line in action.words]

    def leave(self, path: str) -> None:
        """Once for each path."""
        kind = "is a symbolic link" if Path(path).is_symlink() else "is a mount point"
        self.leave_for(path, f"{kind}, and what is behind it is not touched")

    def leave_for(self, path: str, reason: str) -> None:
        line = f"{path}: {reason}"
        self.left += [line] if line not in self.left else []

    def add(self, words: Iterable[str], act: Callable[[], object]) -> None:
        lines = tuple(words)
        if lines:
            self.actions.append(Action(lines, act))


def make_plan(removal: Removal, layout: Layout) -> Plan:
    """Reads the host and changes nothing. Raises StabilityError for what forbids the removal."""
    service = removal.service
    refuse_foreign_homes(service, [service.directory, service.log_directory, service.run_directory])
    refuse_deployment(Path(service.directory) / "releases")
    plan = Plan(service.directory, mount_points())
    units = read_units([thing.unit for thing in belongings(service, Step.WATCHING, Step.PM2) if thing.unit])
    accounts = [_account(service, thing) for thing in belongings(service, Step.ACCOUNT)]
    own = next((account for account in accounts if account.user == service.user), None)

    for thing in belongings(service, Step.WATCHING):
        if thing.unit:
            _plan_unit(plan, thing, units[thing.unit])
        else:
            _plan_places(plan, [thing])
    last = not service.tools_only and _plan_site(plan, removal, layout)
    for thing in belongings(service, Step.PM2):
        _plan_unit(plan, thing, units[thing.unit], before=partial(_drain, service, removal.drain_time))
    if plan.words():
        plan.actions.append(Action((), reload_daemon))
    if own and own.uid is not None and processes_of(own.uid):
        plan.add([f"what runs as the user {service.user}"], partial(end_processes, own.uid, removal.patience))
    plan.add(
        (f"{path} (the block of {service.name})" for path in access_files(service)), partial(close_access, service)
    )
    _plan_places(plan, belongings(service, Step.SETTINGS), afterwards=reload)
    _plan_own(plan, removal, has_user=own is not None and not own.foreign)
    hardening = [thing for thing in belongings(service, Step.LAST_SITE) if last and _is_managed(thing.path)]
    _plan_places(plan, hardening, afterwards=reload_daemon)
    if belongings(service, Step.DATABASE):
        _plan_database(plan, read_database(service), removal.data)
    _plan_emptied(plan, belongings(service, Step.EMPTIED))
    for account in accounts:
        _plan_account(plan, account, removal.patience, keeps=account is own and _owns_more(plan))
    _plan_authorities(plan, service)
    return plan


def _account(service: Service, thing: Thing) -> Account:
    """Of the service's user, and of others that have a group of the same name."""
    (home,) = thing.marks
    return read_account(thing.path, service.group if thing.path == service.user else thing.path, home)


def _plan_unit(plan: Plan, thing: Thing, unit: Unit, before: Callable[[], object] | None = None) -> None:
    foreign = [path for path in found(thing.path) if is_foreign(thing, path)]
    for path in foreign:
        plan.leave_for(path, FOREIGN)
    if foreign or not unit.there:
        return

    def act() -> None:
        if before:
            before()
        remove_unit(unit)

    plan.add([f"unit {unit.name}"], act)


def _drain(service: Service, limit: float) -> None:
    """Nginx has let go of the service: what is under way may finish, WebSockets within the limit."""
    run = Path(service.run_directory)
    drain(lambda: connections(lambda path: path.parent == run), limit)


def _plan_site(plan: Plan, removal: Removal, layout: Layout) -> bool:
    """The site, as the transaction that nginx_site is; whether no other site is on the host."""
    service = removal.service
    site = Desired(service.name, remove=True, announce=_ANNOUNCED_SECONDS)
    result = apply_site(site, layout, check=True)
    plan.add(_site_words(result, layout), lambda: apply_site(site, layout, check=False))
    _plan_certificate(plan, removal)
    return not Ledger(layout.state, service.name).others


def _plan_certificate(plan: Plan, removal: Removal) -> None:
    name = removal.service.name
    if remove_certificate(name, check=True):
        things = [thing.path for thing in belongings(removal.service, Step.CERTIFICATE) if Path(thing.path).exists()]
        plan.add(things, partial(remove_certificate, name, check=False, revoke=removal.revoke))


def _site_words(result: Result, layout: Layout) -> list[str]:
    words = []
    for change in result.changes:
        stays = "" if change.after is None else " (given back)" if change.before is None else " (without its part)"
        words.append(f"{layout.config / change.path}{stays}")
    if result.plan.record:
        words.append(result.plan.record.path)
    if result.recovered:
        words.append("what an interrupted change of Nginx left")
    return words


def _is_managed(path: str) -> bool:
    """Whether a file says of itself that Ansible manages it."""
    entry = read_entry(Path(path))
    return entry is not None and _MARK in entry.data[:_MARK_WITHIN]


def _plan_places(plan: Plan, things: Sequence[Thing], afterwards: Callable[[], object] | None = None) -> None:
    for thing, path in ((one, path) for one in things for path in found(one.path)):
        if is_foreign(thing, path):
            plan.leave_for(path, FOREIGN)
            continue
        if wall := barrier(path, plan.root, plan.mounts):
            plan.leave(wall)
            continue
        parts = list(removable(path, plan.mounts))
        for mount in inner_mounts(path, plan.mounts):
            plan.leave(mount)
        plan.add(parts, partial(_remove_parts, parts, afterwards))


def _remove_parts(parts: Sequence[str], afterwards: Callable[[], object] | None) -> None:
    for path in parts:
        discard_path(path)
    if afterwards:
        afterwards()


def _plan_own(plan: Plan, removal: Removal, has_user: bool = True) -> None:
    """What goes by its path. Where data goes as well, the service's directory goes as a whole."""
    service = removal.service
    things = belongings(service, Step.FILES, *([Step.USER] if has_user else []))
    wholes = tuple(f"{thing.path}/" for thing in things if thing.data)
    others = [thing for thing in things if not thing.data]
    inside = [thing for thing in others if thing.path.startswith(wholes)]
    _plan_places(plan, [thing for thing in others if not removal.data or thing not in inside])
    gone = {*plan.words(), *(path for thing in inside for path in found(thing.path))}
    plan.data += [path for path in _data(service, things) if holds_more(path, gone)]
    if removal.data:
        tops = [thing for thing in things if thing.data and not thing.path.startswith(wholes)]
        _plan_places(plan, tops)
    else:
        plan.kept += plan.data


def _data(service: Service, things: Sequence[Thing]) -> list[str]:
    """Every path of data, and what somebody else has put into the service's directory."""
    known = {thing.path for thing in things}
    data = [path for thing in things if thing.data and thing.path != service.directory for path in found(thing.path)]
    if service.tools_only:
        return data
    if Path(service.directory).is_symlink():
        return [*data, service.directory]
    return data + [path for path in found(f"{service.directory}/*") if path not in known]


def _plan_database(plan: Plan, database: Database, data: bool) -> None:
    if database.kept:
        plan.left.append(database.kept)
    if database.there:
        plan.data.append(database.words())
        if data:
            plan.add([database.words()], partial(drop, database))
        else:
            plan.kept.append(database.words())
    elif database.problem and data:
        plan.problem = f"Its database could not be looked for: {database.problem}"
    elif database.problem:
        plan.kept.append(f"its database, if there is one ({database.problem})")


def _plan_emptied(plan: Plan, things: Sequence[Thing]) -> None:
    """Directories that were made for what has gone, in which nobody else has anything."""
    for directory in [Path(thing.path) for thing in things]:
        gone = plan.words()
        if (
            becomes_empty(directory, gone)
            and not any(str(path) in gone for path in (directory, *directory.parents))
            and not barrier(str(directory), plan.root, plan.mounts)
        ):
            plan.add([str(directory)], partial(_remove_empty, directory))


def _remove_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()


def _plan_authorities(plan: Plan, service: Service) -> None:
    file, link = (thing.path for thing in belongings(service, Step.TRUST))
    there = [path for path in (file, link) if found(path)]
    plan.add(there, partial(trust_store.distrust, file, link))


def _owns_more(plan: Plan) -> bool:
    """Whether files stay that may be the user's."""
    return any(line.startswith("/") for line in [*plan.kept, *plan.left])


def _plan_account(plan: Plan, account: Account, patience: float, keeps: bool) -> None:
    if account.there and keeps:
        plan.kept.append(f"{account.words()}, whose data it is: another user could get the number")
    elif account.there:
        plan.add([account.words()], partial(remove_account, account, patience))


def apply(removal: Removal, layout: Layout, check: bool) -> Plan:
    """Takes the service off the host. Raises StabilityError and DeployLockError."""
    plan = make_plan(removal, layout)
    if check or not plan.words():
        return plan
    done = 0
    with _no_deployment(removal.service):
        for action in plan.actions:
            try:
                action.act()
            except (StabilityError, OSError) as error:
                what = ", ".join(action.words) or "systemd"
                raise StabilityError(
                    f"{what}: {error}\n{done} of {len(plan.words())} things are gone; the next run goes on from here."
                ) from error
            done += len(action.words)
    if plan.problem:
        raise StabilityError(f"{plan.problem}\nAll else is gone, {done} things; the next run goes on from here.")
    return plan


@contextlib.contextmanager
def _no_deployment(service: Service) -> Iterator[None]:
    directory = Path(service.directory)
    if directory.is_symlink() or not directory.is_dir():
        yield
        return
    paths = [of(directory / "releases") for of in (build_lock_path, lock_path)]
    with contextlib.ExitStack() as held:
        for path in paths:
            held.enter_context(deploy_lock(path, f"the removal of {service.name}", ""))
        yield
        for path in paths:
            path.unlink(missing_ok=True)
    _remove_empty(directory)


def summary(removal: Removal, plan: Plan, check: bool) -> list[str]:
    """What was done, and what stays and why, in lines for people."""
    name, count = removal.service.name, len(plan.words())
    verb = "would be" if check else "was" if count == 1 else "were"
    things = f"{count} thing{'' if count == 1 else 's'}"
    lines = [f"{name}: {things} {verb} removed." if count else f"{name}: there is nothing to remove."]
    lines += [f"Kept, it is data: {what}" for what in plan.kept]
    if plan.kept:
        lines.append(f"The data goes with -e remove_data=true -e remove_confirm={name}")
    lines += [f"Left alone: {what}" for what in plan.left]
    programs = [program for program, path in SHARED_PROGRAMS.items() if Path(path).exists()]
    if programs:
        lines.append(f"Stays, for other services: {' and '.join(programs)}, with all of Debian's packages")
    return lines
