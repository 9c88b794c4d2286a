# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's PostgreSQL server on this host: its settings and who it lets in, compared and changed as one transaction.

What the server does not take, or does not start with, is put back.
"""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from .._host import units
from .._host.errors import StabilityError
from .._host.files import Change, Entry, Transaction, change_of, check
from .._host.lock import lock
from .._host.units import UnitError, run_unit
from .access import with_block, without_catch_all, without_map, without_settings
from .client import MissingDriverError
from .server_state import OWNER, ActualServer, Cluster, DesiredServer, ServerError, altered_of, read, text_of

# Starts all clusters of the host, as Debian's generator says.
_AT_BOOT = "postgresql.service"
# A server that was not shut down recovers first, for as long as its disk takes; it reads its files in a moment.
_START_SECONDS = 600
_TURN_SECONDS = 600
_READ_SECONDS = 10


@dataclass(frozen=True)
class Result:
    """What was not as declared, and the files that were or would be changed.

    ``actual`` is what the server said before anything was changed, None where it could not be asked.
    """

    problems: list[str]
    changes: list[Change]
    actual: ActualServer | None
    units: Sequence[units.Step] = ()


def converge_server(desired: DesiredServer, *, check_mode: bool = False) -> Result:
    """Make the server as declared, one run at a time; in check mode say what is not. Raises StabilityError, OSError."""
    if desired.only_known and not Path(desired.settings_file).exists():
        return Result([], [], None)
    if check_mode:
        return _converge(desired, check_mode=True)
    path = Path(f"/run/workbot-postgresql-{desired.cluster.version}.lock")
    busy = ServerError(f"another run has worked on it for {_TURN_SECONDS} s, and holds {path}")
    with lock(path, busy, seconds=_TURN_SECONDS):
        return _converge(desired, check_mode=False)


def _converge(desired: DesiredServer, *, check_mode: bool) -> Result:
    actual, silence = _ask(desired, check_mode)
    changes = list(_changes(desired, actual))
    coming = actual and _coming(desired, actual, {change.path for change in changes})
    boot = _boot(desired.cluster)
    problems = [*_problems(desired, changes, coming, silence), *(f"{step.unit.name} is disabled" for step in boot)]
    result = Result(problems, changes, actual, boot)
    for change in changes:
        check(change)
    if coming:
        _refuse(desired, coming)
    if check_mode or not result.problems:
        return result
    for step in boot:
        units.do(step)
    _apply(desired, changes, is_running=actual is not None)
    if actual:
        return result
    # Only now can it be asked who else logs in.
    again = _converge(desired, check_mode=False)
    return Result(result.problems + again.problems, changes + again.changes, None, boot)


def _ask(desired: DesiredServer, check_mode: bool) -> tuple[ActualServer | None, str]:
    """What the server says; None, and why, where there is nobody to ask."""
    cluster = desired.cluster
    if not cluster.is_installed:
        if not check_mode:
            raise ServerError(f"PostgreSQL {cluster.version} is not installed")
        return None, f"PostgreSQL {cluster.version} is missing"
    if not cluster.socket.exists():
        return None, f"no server listens at port {cluster.port} in {cluster.socket.parent}"
    try:
        return read(desired), ""
    except MissingDriverError as error:
        if not check_mode:
            raise
        return None, str(error)


def _changes(desired: DesiredServer, actual: ActualServer | None) -> Iterator[Change]:
    yield from _change(desired.settings_file, desired.settings_text, 0o644, desired.cluster.settings_check)
    access = with_block(text_of(desired.access_file), desired.marker, desired.access, first=True)
    # Debian lets every role into every database. Where nobody else logs in, nobody needs that.
    if actual and not actual.others:
        access = without_catch_all(access)
    yield from _change(desired.access_file, access, 0o640)
    identities = with_block(text_of(desired.identities_file), desired.marker, desired.identities, first=False)
    yield from _change(desired.identities_file, without_map(identities, desired.name, desired.marker), 0o640)
    altered, reset = str(desired.cluster.altered), altered_of(desired)
    if reset:
        # it may hold another server's password
        yield from _change(altered, without_settings(text_of(altered), reset), 0o600, secret=True)


def _change(path: str, text: str, mode: int, command: Sequence[str] = (), *, secret: bool = False) -> Iterator[Change]:
    entry = Entry(text.encode("utf-8", errors="surrogateescape"), mode, OWNER, OWNER, secret=secret)
    if (text or Path(path).exists()) and (change := change_of(path, entry, command)):
        yield change


def _coming(desired: DesiredServer, actual: ActualServer, changed: Set[str]) -> ActualServer:
    """The server with its files as they will be, as far as that can be told before they are there."""
    unread = [path for path in actual.unread if path not in changed]
    misread = [] if changed & {desired.access_file, desired.identities_file} else actual.misread
    coming = dataclasses.replace(actual, unread=unread, misread=misread)
    if not changed & {desired.settings_file, str(desired.cluster.altered)}:
        return coming
    return dataclasses.replace(coming, **actual.coming, max_connections=desired.max_connections)


def _boot(cluster: Cluster) -> list[units.Step]:
    """What has the server start at boot, as Debian's package has it."""
    if not cluster.is_installed:
        return []
    states = units.states([_AT_BOOT])
    return units.steps([units.Unit(_AT_BOOT, started=states[_AT_BOOT].active)], states, [], {})


def _problems(
    desired: DesiredServer, changes: Sequence[Change], coming: ActualServer | None, silence: str
) -> Iterator[str]:
    for change in changes:
        altered = change.path == str(desired.cluster.altered)
        yield (
            f"ALTER SYSTEM has set {', '.join(altered_of(desired))}" if altered else f"{change.path} is not as declared"
        )
    if coming is None:
        yield silence
    elif coming.unread:
        yield f"the server has not read {', '.join(coming.unread)}"
    if coming and coming.waiting:
        yield f"only a restart changes {coming.waiting}"


def _refuse(desired: DesiredServer, server: ActualServer) -> None:
    """Raise ServerError for what is wrong with the server, each with what would be right."""
    wrong = []
    if server.misread:
        wrong.append(f"it does not understand {'; '.join(server.misread)} of its access rules: correct the file")
    if server.broken:
        wrong.append(f"it does not understand {server.broken}")
    if server.max_connections < desired.max_connections:
        wrong.append(
            f"max_connections would be {server.max_connections}, less than service_database_max_connections"
            f" ({desired.max_connections}): a file that counts after {desired.settings_file} sets it"
        )
    if server.elsewhere:
        wrong.append(f"{server.elsewhere} would be overridden: remove it there, if it is to be so")
    if server.waiting and not desired.restart_allowed:
        wrong.append(f"only a restart changes {server.waiting}, and postgresql_restart_allowed is false")
    if wrong:
        raise ServerError("; ".join(wrong))


def _apply(desired: DesiredServer, changes: Sequence[Change], *, is_running: bool) -> None:
    transaction = Transaction()
    transaction.make(changes)
    restarted = not is_running
    try:
        _run(desired, "reload" if is_running else "start")
        server = _answer(desired)
        _refuse(desired, server)
        if server.waiting:
            restarted = True
            _run(desired, "restart", f" with the new settings ({server.waiting})")
            server = _answer(desired)
            _refuse(desired, server)
            if server.waiting:
                raise ServerError(f"a restart did not change {server.waiting}")
    except (StabilityError, OSError) as error:
        back = _put_back(desired, transaction, "restart" if restarted else "reload")
        raise ServerError(f"{error}. {back}") from error


def _run(desired: DesiredServer, verb: str, what: str = "") -> None:
    try:
        run_unit(verb, desired.cluster.unit, _START_SECONDS)
    except (UnitError, subprocess.TimeoutExpired) as error:
        failed = "read its files" if verb == "reload" else "start"
        raise ServerError(f"it does not {failed}{what}; see the end of {desired.cluster.log}") from error


def _answer(desired: DesiredServer) -> ActualServer:
    """What the server says when it has read its files. Raises PgError, ServerError."""
    deadline = time.monotonic() + _READ_SECONDS
    while (server := read(desired)).unread:
        if time.monotonic() > deadline:
            raise ServerError(f"it has not read {', '.join(server.unread)} {_READ_SECONDS} s after it was told to")
        time.sleep(0.1)
    return server


def _put_back(desired: DesiredServer, transaction: Transaction, verb: str) -> str:
    """What is in force afterwards, for people."""
    if not transaction.done:
        return f"It was so before this run: correct postgresql_settings or {desired.settings_file}, and run it again"
    lost = transaction.undo()
    try:
        _run(desired, verb)
    except StabilityError as error:
        lost.append(f"with the former files: {error}")
    return "; ".join(lost) or "The former ones are back, and it runs"
