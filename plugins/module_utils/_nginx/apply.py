# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an nginx configuration as one transaction: compare, test in a copy, swap, reload, probe; or restore."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._host.errors import StabilityError
from .._host.files import Change, Entry
from .._host.lock import lock
from .._net.certificate import Certificate
from .debian import (
    DEFAULT_SITE,
    DEFAULT_SITE_FILE,
    announced,
    create_logs,
    default_site_is_untouched,
    has_other_sites,
    missing_logs,
)
from .ledger import Ledger, Shared
from .plan import Plan, Wish, make_plan
from .probe import Probe, failures
from .service import Service, check_ports
from .staging import Layout, check_changes, limit_zones, refuse_missing_zones
from .transaction import Transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Request:
    """What the user wants. Paths are relative to the configuration directory; logs are names in the log directory."""

    name: str = ""
    files: Mapping[str, Entry] = field(default_factory=dict)
    shared: Mapping[str, Shared] = field(default_factory=dict)
    worker_limits: Mapping[str, str] = field(default_factory=dict)
    remove: bool = False
    absent: Sequence[str] = ()
    adopt: Sequence[str] = ()
    logs: Sequence[str] = ()
    ports: Sequence[int] = ()
    disable_default_site: bool = False
    certificates: Sequence[Certificate] = ()
    probes: Sequence[Probe] = ()
    limit_zones: Sequence[str] = ()
    announce: float = 0
    """Seconds before a reload for which clients are told that their connections will be closed."""

    def changes_something(self) -> bool:
        wanted = self.files or self.shared or self.worker_limits or self.absent or self.logs
        return bool(wanted or self.remove or self.disable_default_site)


@dataclass
class Result:
    """What was done, or in check mode would be."""

    plan: Plan = field(default_factory=Plan)
    created_logs: list[str] = field(default_factory=list)
    recovered: bool = False
    reloaded: bool = False
    started: bool = False

    @property
    def changes(self) -> Sequence[Change]:
        return self.plan.changes

    def changed(self) -> bool:
        done = self.changes or self.plan.record or self.created_logs
        return bool(done or self.recovered or self.reloaded or self.started)


def apply(request: Request, layout: Layout, check: bool, wait: float = 120) -> Result:
    """Brings the configuration to what is requested. Raises StabilityError, and then nothing has changed."""
    check_ports(list(request.ports))
    if not request.changes_something():
        return Result()
    if not NAME.fullmatch(request.name):
        raise StabilityError(
            f"name: {request.name!r} is no name for a site, which a change needs: expected letters, digits, '.', '-' "
            "and '_', like shop. Nothing was changed."
        )
    if check and not layout.binary.exists():
        return Result(_plan(request, layout))
    if request.remove and not layout.binary.exists():
        return _remove_files(request, layout)
    if not layout.binary.exists():
        raise StabilityError(f"nginx is not installed: there is no {layout.binary}. Nothing was changed.")
    busy = StabilityError(
        f"Another run has been changing the nginx configuration for more than {wait:.0f} s (it holds {layout.lock}). "
        "Nothing was changed."
    )
    # runs of several controllers, or of several services on one host, change the configuration one after another
    with lock(layout.lock, busy, seconds=wait):
        return _predict(request, layout) if check else _apply(request, layout)


def _predict(request: Request, layout: Layout) -> Result:
    plan = _plan(request, layout)
    if plan.concerns_nginx() and not _lacks_certificate(request, layout):
        check_changes(layout, plan.changes, request.certificates, request.limit_zones)
    active = Service(layout).master() is not None
    pending = Transaction(layout.config, layout.journal).pending()
    logs = missing_logs(layout, request.logs)
    started = not active and not request.remove
    return Result(plan, logs, recovered=pending, reloaded=plan.concerns_nginx() and active, started=started)


def _lacks_certificate(request: Request, layout: Layout) -> bool:
    """Whether a file is missing that an earlier task would have made if this were no check mode."""
    made = [path for one in request.certificates if one.made_by_play for path in (one.certificate, one.key)]
    return not all(layout.find(path).exists() for path in made)


def _remove_files(request: Request, layout: Layout) -> Result:
    """Nothing runs with the files, and nothing can test what is left of them."""
    transaction = Transaction(layout.config, layout.journal)
    plan = _plan(request, layout)
    changes = [*plan.changes, *([plan.record] if plan.record else [])]
    if changes:
        transaction.swap(changes)
        transaction.commit()
    transaction.remove_empty(plan.emptied)
    return Result(plan)


def _apply(request: Request, layout: Layout) -> Result:
    transaction = Transaction(layout.config, layout.journal)
    service = Service(layout)
    # what a run that was killed left would make clients open a connection for each request
    layout.closing.unlink(missing_ok=True)
    result = Result(recovered=transaction.pending())
    if result.recovered:
        _note(result, _recover(transaction, service))
    result.plan = plan = _plan(request, layout)
    if plan.concerns_nginx():
        check_changes(layout, plan.changes, request.certificates, request.limit_zones)
    result.created_logs = create_logs(layout, request.logs)
    if plan.concerns_nginx():
        if service.master() is None and request.remove:
            _change_stopped(transaction, service, plan)
        else:
            _note(result, _change(transaction, service, request, plan))
        transaction.remove_empty(plan.emptied)
        return result
    if plan.record:
        transaction.swap([plan.record])
        transaction.commit()
    if service.master() is None and not request.remove:
        _note(result, service.activate())
    return result


def _change_stopped(transaction: Transaction, service: Service, plan: Plan) -> None:
    """Whoever has stopped nginx does not expect that a site's removal starts it."""
    try:
        transaction.swap([*plan.changes, *([plan.record] if plan.record else [])])
        service.test()
    except BaseException:
        if transaction.pending():
            transaction.restore()
            transaction.commit()
        raise
    transaction.commit()


def _note(result: Result, started: bool) -> None:
    result.started = result.started or started
    result.reloaded = result.reloaded or not started


def _plan(request: Request, layout: Layout) -> Plan:
    ledger = Ledger(layout.state, request.name)
    absent = list(request.absent)
    default_site = ""
    if request.disable_default_site and DEFAULT_SITE not in request.files:
        default_site = ledger.own.default_site or ledger.default_site()
        if default_site_is_untouched(layout.config):
            absent.append(DEFAULT_SITE)
            default_site = str((layout.config / DEFAULT_SITE).readlink())
    absent = list(dict.fromkeys(absent))
    if request.remove:
        plan = make_plan(layout.config, ledger, Wish(absent=absent))
        back = _given_back(layout, ledger, plan)
        return make_plan(layout.config, ledger, Wish(absent=absent, given_back=back)) if back else plan
    digests = _digests(request, layout)
    wish = Wish(request.files, request.shared, request.worker_limits, absent, request.adopt, digests, default_site)
    return make_plan(layout.config, ledger, wish)


def _given_back(layout: Layout, ledger: Ledger, plan: Plan) -> dict[str, Entry]:
    """Debian's default site, if it was switched off for this site and no other site is there in its place."""
    target = ledger.own.default_site
    gone = {change.path for change in plan.changes if change.after is None}
    if not target or not (layout.config / DEFAULT_SITE_FILE).exists() or has_other_sites(layout.config, gone):
        return {}
    return {DEFAULT_SITE: Entry(target=target)}


def _digests(request: Request, layout: Layout) -> dict[str, str]:
    """Of certificates and keys that are not among the files: nginx must reload when somebody else renews them."""
    paths = [path for one in request.certificates for path in (one.certificate, one.key)]
    own = {layout.find(path) for path in request.files}
    return {path: _digest(layout.find(path)) for path in paths if layout.find(path) not in own}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # the check in the copy says what is the matter with it
        return ""


def _recover(transaction: Transaction, service: Service) -> bool:
    """Undoes the change of a run that was killed; True when nginx was started for it."""
    transaction.restore()
    try:
        # That run may have reloaded already: what runs must be what is restored.
        started = service.activate()
    except StabilityError as error:
        transaction.commit()
        raise StabilityError(
            f"An earlier run was killed in the middle of a change. Its files are undone, but nginx does not run with "
            f"those of before: {error}"
        ) from error
    transaction.commit()
    return started


def _change(transaction: Transaction, service: Service, request: Request, plan: Plan) -> bool:
    """Swaps the files in and makes them the running configuration; True when nginx was started for it."""
    active = service.master() is not None
    conditional = [probe for probe in request.probes if probe.if_healthy]
    asked = [probe for probe in conditional if active and not _is_new(probe.host, plan)]
    ill = failures(asked, service.layout.find, patient=False)
    unasked = set(conditional) - set(asked)
    try:
        transaction.swap([*plan.changes, *([plan.record] if plan.record else [])])
        refuse_missing_zones(request.limit_zones, limit_zones(service.test()))
        with announced(service.layout.closing, request.announce if active else 0):
            started = service.activate()
        _probe([probe for probe in request.probes if probe not in ill and probe not in unasked], service.layout)
    except BaseException as error:
        _restore(transaction, service, active, error, request.announce)
        raise
    transaction.commit()
    return started


def _is_new(host: str, plan: Plan) -> bool:
    """Whether the site or its name is: who answered in it was another one, such as one that takes every name."""
    if plan.record is not None and plan.record.before is None:
        return True
    name = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])")

    def is_in(entries: Iterable[Entry | None]) -> bool:
        return any(entry is not None and name.search(entry.text()) for entry in entries)

    return is_in(change.after for change in plan.changes) and not is_in(change.before for change in plan.changes)


def _probe(probes: Sequence[Probe], layout: Layout) -> None:
    found = failures(probes, layout.find, patient=True)
    if found:
        lines = [f"{probe.title()}: {reason}" for probe, reason in found.items()]
        raise StabilityError("\n".join(["nginx took the new configuration, but does not serve as it should:", *lines]))


def _restore(
    transaction: Transaction, service: Service, active: bool, error: BaseException, announce: float = 0
) -> None:
    """Puts the previous files back and, if nginx was running, makes it run with them; else stops it again."""
    if not transaction.pending():
        return  # not even the journal could be written: no file was touched
    try:
        transaction.restore()
    except StabilityError as second:
        raise StabilityError(
            f"{error}\nThe previous files could not be put back: {second} The running nginx may go on with the old "
            f"ones; when the cause is gone, the next run puts them back first (from {transaction.journal})."
        ) from error
    try:
        if active:
            with announced(service.layout.closing, announce):
                service.activate()
        else:
            service.stop()
    except StabilityError as second:
        # A later run must not put files back over what somebody repairs by hand.
        transaction.commit()
        message = f"{error}\nThe previous files are back, but nginx does not run with them: {second}"
        raise StabilityError(message) from error
    transaction.commit()
    if isinstance(error, (StabilityError, OSError)):
        state = "nginx runs with them" if active else "nginx is stopped, as it was"
        raise StabilityError(f"{error}\nThe previous files are back, and {state}.") from error
