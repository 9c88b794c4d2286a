# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking one service off a host: first what watches it, then its site, then its processes, then all that is left.

The plan is made from what is there, so a second run has nothing to do, and one after a run that was killed goes on
where that one was. Whatever is needed to find the rest (the user, by whom processes are known) goes last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .._deploy.teardown import drain
from .._host import trust_store
from .._host.errors import StabilityError
from .._nginx.apply import Result
from .._nginx.apply import apply as apply_site
from .._nginx.ledger import Ledger
from .._nginx.plan import MARK, MARK_WITHIN, Desired
from .._nginx.staging import Layout
from .._nginx.transaction import read_entry
from .._release.lock import deploy_lock, lock_path
from .._service.footprint import (
    HARDENING,
    UNITS,
    Place,
    Service,
    authorities,
    database_places,
    own_places,
    schedule,
    site_file,
    site_places,
    user_places,
    watching_units,
)
from .database import Database, access_files, close_access, drop, read_database, reload
from .files import (
    barrier,
    becomes_empty,
    found,
    holds_more,
    inner_mounts,
    is_marked,
    mount_points,
    removable,
    remove,
)
from .system import (
    Account,
    Unit,
    end_processes,
    processes_of,
    read_account,
    read_units,
    refuse_deployment,
    refuse_foreign_homes,
    reload_units,
    remove_account,
    remove_unit,
    run,
)

NOBODYS_HOME = "/nonexistent"
SITES = "/etc/nginx/services"
SHARED_PROGRAMS = {"Nginx": "/usr/sbin/nginx", "PostgreSQL": "/usr/bin/psql"}


@dataclass(frozen=True)
class Order:
    """What is to be done. Times in seconds: for connections to end, and for processes that nobody supervises."""

    service: Service
    data: bool = False
    drain_time: float = 60
    patience: float = 15


@dataclass(frozen=True)
class Step:
    """Things that go together, one line for each, and what takes them away."""

    words: tuple[str, ...]
    act: Callable[[], object]


@dataclass
class Plan:
    """What there is to do, and what stays and why."""

    steps: list[Step] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    """What of the service is data on this host, whether it goes or not."""
    kept: list[str] = field(default_factory=list)
    """Data that stays because it was not said twice, and what is needed for it."""
    left: list[str] = field(default_factory=list)
    """What the removal does not touch, each with the reason."""
    problem: str = ""
    """Why some of the data can't be removed at the moment."""

    def words(self) -> list[str]:
        return [line for step in self.steps for line in step.words]

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
            self.steps.append(Step(lines, act))


def make_plan(order: Order, layout: Layout) -> Plan:
    """Reads the host and changes nothing. Raises StabilityError for what forbids the removal."""
    service, plan = order.service, Plan()
    refuse_foreign_homes(service, [service.directory, service.log_directory, service.run_directory])
    refuse_deployment(Path(service.directory) / "releases")
    mounts = mount_points()
    units = read_units([*watching_units(service), service.pm2_unit])
    account = _account(service)
    alert = read_account(service.alert_user, service.alert_user, NOBODYS_HOME) if service.alert_user else None

    _plan_places(plan, [schedule(service)], mounts)
    for name in watching_units(service):
        _plan_unit(plan, units[name])
    last = not service.tools_only and _plan_site(plan, service, layout)
    if not service.tools_only:
        _plan_pm2(plan, order, units[service.pm2_unit])
    if plan.words():
        plan.steps.append(Step((), reload_units))
    if account.uid is not None and processes_of(account.uid):
        words = f"what runs as the user {service.user}"
        plan.add([words], partial(end_processes, account.uid, order.patience))
    plan.add(
        (f"{path} (the block of {service.name})" for path in access_files(service)), partial(close_access, service)
    )
    if not service.tools_only:
        _plan_places(plan, database_places(service), mounts, afterwards=reload)
    _plan_own(plan, order, mounts, has_user=not account.foreign)
    if last and _is_marked(HARDENING):
        _plan_places(plan, [Place(HARDENING)], mounts, afterwards=reload_units)
    _plan_database(plan, Database() if service.tools_only else read_database(service), order.data)
    tools = [f"{service.directory}/config"] if service.tools_only else []
    _plan_emptied(plan, [*tools, service.directory, SITES, str(Path(HARDENING).parent)])
    for one in [account, *([alert] if alert else [])]:
        _plan_account(plan, one, keeps=one is account and _owns_more(plan))
    _plan_authorities(plan, service)
    return plan


def _account(service: Service) -> Account:
    if service.tools_only:
        return Account(service.user, service.group, None, None, foreign=True)
    return read_account(service.user, service.group, service.home)


def _plan_pm2(plan: Plan, order: Order, unit: Unit) -> None:
    """`pm2 startup` of a user called as the service makes a unit of the same name."""
    home = f"PM2_HOME={order.service.home}/"
    foreign = [path for path in found(f"{UNITS}/{unit.name}") if not is_marked(path, home)]
    for path in foreign:
        plan.leave_for(path, "starts another PM2 than the service's")
    if not foreign:
        _plan_unit(plan, unit, before=partial(_drain, order.service, order.drain_time))


def _plan_unit(plan: Plan, unit: Unit, before: Callable[[], object] | None = None) -> None:
    if not unit.there:
        return

    def act() -> None:
        if before:
            before()
        remove_unit(unit)

    plan.add([f"unit {unit.name}"], act)


def _drain(service: Service, limit: float) -> None:
    """Nginx has let go of the service: what is under way may finish, WebSockets within the limit."""
    deadline = time.monotonic() + limit
    for socket in found(f"{service.run_directory}/*.sock"):
        drain(Path(socket), max(0.0, deadline - time.monotonic()), lambda: None)


def _plan_site(plan: Plan, service: Service, layout: Layout) -> bool:
    """The site, as the transaction that nginx_site is; whether no other site is on the host."""
    ledger = Ledger(layout.state, service.name)
    orphan = site_file(service) not in ledger.own.files and _is_marked(str(layout.config / site_file(service)))
    site = Desired(service.name, remove=True, absent=[site_file(service)] if orphan else [])
    result = apply_site(site, layout, check=True)
    plan.add(_site_words(result, layout), lambda: apply_site(site, layout, check=False))
    return not ledger.others


def _site_words(result: Result, layout: Layout) -> list[str]:
    words = [
        f"{layout.config / change.path}" + (" (given back)" if change.before is None else " (without its part)")
        if change.after
        else f"{layout.config / change.path}"
        for change in result.changes
    ]
    record = [result.plan.record.path] if result.plan.record else []
    return [*words, *record, *(["what an interrupted change of Nginx left"] if result.recovered else [])]


def _is_marked(path: str) -> bool:
    """Whether a file says of itself that Ansible manages it."""
    entry = read_entry(Path(path))
    return entry is not None and MARK in entry.data[:MARK_WITHIN]


def _plan_places(
    plan: Plan,
    places: Sequence[Place],
    mounts: frozenset[str],
    root: str = "",
    afterwards: Callable[[], object] | None = None,
) -> None:
    for place, path in ((one, path) for one in places for path in found(one.path)):
        if (place.unless and found(place.unless)) or (place.mark and not is_marked(path, place.mark)):
            plan.leave_for(path, "is somebody else's")
            continue
        if wall := barrier(path, root, mounts):
            plan.leave(wall)
            continue
        parts = list(removable(path, mounts))
        for mount in inner_mounts(path, mounts):
            plan.leave(mount)
        plan.add(parts, partial(_remove_parts, parts, afterwards))


def _remove_parts(parts: Sequence[str], afterwards: Callable[[], object] | None) -> None:
    for path in parts:
        remove(path)
    if afterwards:
        afterwards()


def _plan_own(plan: Plan, order: Order, mounts: frozenset[str], has_user: bool = True) -> None:
    """What goes by its path. Where data goes as well, the service's directory goes as a whole."""
    service = order.service
    site = [] if service.tools_only else site_places(service)
    # PM2's files and the caches of builds; what has another name there the service itself has written.
    hidden = [] if service.tools_only else [Place(path) for path in found(f"{service.home}/.*")]
    places = [*site, *own_places(service), *(user_places(service) if has_user else []), *hidden]
    wholes = [place.path for place in places if place.data]
    others = [place for place in places if not place.data]
    inside = [place for place in others if any(place.path.startswith(f"{whole}/") for whole in wholes)]
    _plan_places(plan, [place for place in others if not order.data or place not in inside], mounts, service.directory)
    gone = {*plan.words(), *(place.path for place in inside)}
    emptied = () if order.data or service.tools_only else ("config", "shared", "home")
    _plan_emptied(plan, [f"{service.directory}/{part}" for part in emptied])
    plan.data += [path for path in _data(service, places) if holds_more(path, gone)]
    if order.data:
        within = tuple(f"{whole}/" for whole in wholes)
        tops = [place for place in places if place.data and not place.path.startswith(within)]
        _plan_places(plan, tops, mounts, service.directory)
    else:
        plan.kept += plan.data


def _data(service: Service, places: Sequence[Place]) -> list[str]:
    """Every path of data, and what somebody else has put into the service's directory."""
    known = {place.path for place in places}
    wanted = [path for place in places if place.data and place.path != service.directory for path in found(place.path)]
    if service.tools_only:
        return wanted
    if Path(service.directory).is_symlink():
        return [*wanted, service.directory]
    return wanted + [path for path in found(f"{service.directory}/*") if path not in known]


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


def _plan_emptied(plan: Plan, directories: Sequence[str]) -> None:
    """Directories that were made for what has gone, in which nobody else has anything."""
    for directory in directories:
        if becomes_empty(directory, plan.words()):
            plan.add([directory], partial(_remove_empty, directory))


def _remove_empty(directory: str) -> None:
    with contextlib.suppress(OSError):
        Path(directory).rmdir()


def _plan_authorities(plan: Plan, service: Service) -> None:
    file, link = (place.path for place in authorities(service))
    there = [path for path in (file, link) if found(path)]
    plan.add(there, partial(_distrust, file, link))


def _distrust(file: str, link: str) -> None:
    """The trust store is made without the file before the link goes: so a run that is killed is caught up with."""
    remove(file)
    with trust_store.alone():
        run(trust_store.UPDATE)
        remove(link)
        run("openssl", "rehash", "/etc/ssl/certs")


def _owns_more(plan: Plan) -> bool:
    """Whether files stay that may be the user's."""
    return any(line.startswith("/") for line in [*plan.kept, *plan.left])


def _plan_account(plan: Plan, account: Account, keeps: bool) -> None:
    if account.there and keeps:
        plan.kept.append(f"{account.words()}, whose data it is: another user could get the number")
    elif account.there:
        plan.add([account.words()], partial(remove_account, account))


def apply(order: Order, layout: Layout, check: bool) -> Plan:
    """Takes the service off the host. Raises StabilityError and DeployLockError."""
    plan = make_plan(order, layout)
    if check or not plan.words():
        return plan
    done = 0
    with _no_deployment(order.service):
        for step in plan.steps:
            try:
                step.act()
            except (StabilityError, OSError) as error:
                what = ", ".join(step.words) or "systemd"
                raise StabilityError(
                    f"{what}: {error}\n{done} of {len(plan.words())} things are gone; the next run goes on from here."
                ) from error
            done += len(step.words)
    if plan.problem:
        raise StabilityError(f"{plan.problem}\nAll else is gone, {done} things; the next run goes on from here.")
    return plan


@contextlib.contextmanager
def _no_deployment(service: Service) -> Iterator[None]:
    directory = Path(service.directory)
    if directory.is_symlink() or not directory.is_dir():
        yield
        return
    path = lock_path(directory / "releases")
    with deploy_lock(path, f"the removal of {service.name}", ""):
        yield
        path.unlink(missing_ok=True)
    _remove_empty(service.directory)


def summary(order: Order, plan: Plan, check: bool) -> list[str]:
    """What was done, and what stays and why, in lines for people."""
    name, count = order.service.name, len(plan.words())
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
