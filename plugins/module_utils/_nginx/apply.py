# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an nginx configuration as one transaction: compare, test in a copy, swap, reload, probe; or restore."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from .._host.errors import StabilityError
from .._host.files import Change, Entry
from .._host.lock import lock
from .debian import announced, create_logs, missing_logs
from .plan import Desired, Plan, make_plan, plan_renewal
from .probe import Probe, failures
from .server_names import refuse_taken_names
from .service import Service, check_ports
from .staging import Layout, check_changes, limit_zones, refuse_missing_zones
from .transaction import Transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


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

    def activated(self, started: bool) -> None:
        """nginx was started, or else reloaded."""
        self.started = self.started or started
        self.reloaded = self.reloaded or not started


def apply(desired: Desired, layout: Layout, check: bool, wait: float = 120) -> Result:
    """Brings the configuration to what is desired. Raises StabilityError, and then nothing has changed."""
    check_ports(desired.ports)
    if desired.server_names:
        refuse_taken_names(layout, desired)
        return Result()
    if not desired.changes_something():
        return Result()
    if not NAME.fullmatch(desired.name):
        raise StabilityError(
            f"name: {desired.name!r} is no name for a site, which a change needs: expected letters, digits, '.', '-' "
            "and '_', like shop. Nothing was changed."
        )
    if not layout.binary.exists():
        return _without_nginx(desired, layout, check)
    with _alone(layout, wait):
        return _predict(desired, layout) if check else _apply(desired, layout)


def renew(desired: Desired, layout: Layout, wait: float = 120) -> bool:
    """Has a running nginx read the certificates of the site, which somebody else has renewed; whether one runs.

    Raises StabilityError.

    Of what is desired only the name, the certificates and the probes count: all files stay as they are.
    """
    with _alone(layout, wait):
        transaction, service = Transaction(layout.config, layout.journal), Service(layout)
        if transaction.pending():
            _recover(transaction, service)
        plan, runs = plan_renewal(layout, desired), service.master() is not None
        if plan.renewed and runs:
            check_changes(layout, [], desired.certificates)
            _change(transaction, service, desired, plan)
        return runs


def _alone(layout: Layout, wait: float) -> AbstractContextManager[None]:
    """Runs of several controllers, or of several services on one host, change the configuration one after another."""
    busy = StabilityError(
        f"Another run has been changing the nginx configuration for more than {wait:.0f} s (it holds {layout.lock}). "
        "Nothing was changed."
    )
    return lock(layout.lock, busy, seconds=wait)


def _without_nginx(desired: Desired, layout: Layout, check: bool) -> Result:
    """A removal is made all the same: nothing runs with the files, and nothing can test what is left of them."""
    if not check and not desired.remove:
        raise StabilityError(f"nginx is not installed: there is no {layout.binary}. Nothing was changed.")
    plan = make_plan(layout, desired)
    if not check:
        transaction = Transaction(layout.config, layout.journal)
        transaction.make(plan.writes)
        transaction.remove_empty(plan.emptied)
    return Result(plan)


def _refuse_changed(desired: Desired, layout: Layout) -> None:
    """Raises StabilityError where somebody has decided something else since this run read what it decided by."""
    for path, text in desired.unchanged.items():
        entry = desired.files.get(path)
        if layout.text_of(path) not in (text, entry.text() if entry else ""):
            raise StabilityError(
                f"{layout.find(path)} has changed since this run read it: another run has decided what clients get. "
                "Nothing was changed; run this one again."
            )


def _predict(desired: Desired, layout: Layout) -> Result:
    _refuse_changed(desired, layout)
    plan = make_plan(layout, desired)
    if plan.concerns_nginx() and not _lacks_certificate(desired, layout):
        check_changes(layout, plan.changes, desired.certificates, desired.limit_zones)
    active = Service(layout).master() is not None
    return Result(
        plan,
        missing_logs(layout, desired.logs),
        recovered=Transaction(layout.config, layout.journal).pending(),
        reloaded=plan.concerns_nginx() and active,
        started=not active and not desired.remove,
    )


def _lacks_certificate(desired: Desired, layout: Layout) -> bool:
    """Whether a file is missing that an earlier task would have made if this were no check mode."""
    made = [path for one in desired.certificates if one.made_by_play for path in (one.certificate, one.key)]
    return not all(layout.find(path).exists() for path in made)


def _apply(desired: Desired, layout: Layout) -> Result:
    transaction = Transaction(layout.config, layout.journal)
    service = Service(layout)
    # what a run that was killed left would make clients open a connection for each request
    layout.closing.unlink(missing_ok=True)
    result = Result(recovered=transaction.pending())
    if result.recovered:
        result.activated(_recover(transaction, service))
    _refuse_changed(desired, layout)
    result.plan = plan = make_plan(layout, desired)
    if plan.concerns_nginx():
        check_changes(layout, plan.changes, desired.certificates, desired.limit_zones)
    result.created_logs = create_logs(layout, desired.logs)
    # Whoever has stopped nginx does not expect that a site's removal starts it.
    stays_stopped = desired.remove and service.master() is None
    if not plan.concerns_nginx():
        transaction.make(plan.writes)
        if service.master() is None and not stays_stopped:
            result.activated(service.activate())
    elif stays_stopped:
        _change_stopped(transaction, service, plan)
    else:
        result.activated(_change(transaction, service, desired, plan))
    if plan.concerns_nginx():
        transaction.remove_empty(plan.emptied)
    return result


def _change_stopped(transaction: Transaction, service: Service, plan: Plan) -> None:
    try:
        transaction.swap(plan.writes)
        service.test()
    except BaseException:
        if transaction.pending():
            transaction.restore()
            transaction.commit()
        raise
    transaction.commit()


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


def _change(transaction: Transaction, service: Service, desired: Desired, plan: Plan) -> bool:
    """Swaps the files in and makes them the running configuration; True when nginx was started for it."""
    active = service.master() is not None
    asked = [probe for probe in desired.probes if probe.if_healthy and active and not _is_new(probe.host, plan)]
    unhealthy = failures(asked, service.layout.find, patient=False)
    try:
        transaction.swap(plan.writes)
        refuse_missing_zones(desired.limit_zones, limit_zones(service.test()))
        with announced(service.layout.closing, desired.announce if active else 0, service.is_connected):
            started = service.activate()
        expected = [probe for probe in desired.probes if not probe.if_healthy or probe in {*asked} - {*unhealthy}]
        _probe(expected, service.layout)
    except BaseException as error:
        _restore(transaction, service, active, error, desired.announce)
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


def _restore(transaction: Transaction, service: Service, active: bool, error: BaseException, announce: float) -> None:
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
            with announced(service.layout.closing, announce, service.is_connected):
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
