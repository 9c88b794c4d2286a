# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an nginx configuration as one transaction: compare, test in a copy, swap, reload, prove; or restore."""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ._nginx_files import Change, Entry, NginxError, Transaction, compare, read_entry
from ._nginx_service import Service, check_ports
from ._nginx_staging import Layout, check_changes, run

DEFAULT_SITE = "sites-enabled/default"
DEFAULT_SITE_FILE = "sites-available/default"
LOG_MODE = 0o640


@dataclass(frozen=True)
class Request:
    """What the user wants. Paths are relative to the configuration directory; logs are names in the log directory."""

    files: dict[str, Entry] = field(default_factory=dict)
    absent: Sequence[str] = ()
    logs: Sequence[str] = ()
    ports: Sequence[int] = ()
    disable_default_site: bool = False


@dataclass
class Result:
    """What was done, or in check mode would be."""

    changes: list[Change] = field(default_factory=list)
    created_logs: list[str] = field(default_factory=list)
    recovered: bool = False
    reloaded: bool = False
    started: bool = False

    def changed(self) -> bool:
        return bool(self.changes or self.created_logs or self.recovered or self.reloaded or self.started)


def apply(request: Request, layout: Layout, check: bool, wait: float = 120) -> Result:
    """Brings the configuration to what is requested; NginxError when that is not possible, and then nothing changed."""
    check_ports(list(request.ports))
    if not request.files and not request.absent and not request.logs and not request.disable_default_site:
        return Result()
    if check and not layout.binary.exists():
        return Result(changes=compare(layout.config, request.files, request.absent))
    if not layout.binary.exists():
        raise NginxError(f"nginx is not installed: there is no {layout.binary}. Nothing was changed.")
    with _lock(layout.lock, wait):
        return _predict(request, layout) if check else _apply(request, layout)


def _predict(request: Request, layout: Layout) -> Result:
    changes = _changes(request, layout)
    if changes:
        check_changes(layout, changes)
    active = Service(layout).master() is not None
    pending = Transaction(layout.config, layout.journal).pending()
    logs = _missing_logs(request, layout)
    return Result(changes, logs, recovered=pending, reloaded=bool(changes) and active, started=not active)


def _apply(request: Request, layout: Layout) -> Result:
    transaction = Transaction(layout.config, layout.journal)
    service = Service(layout)
    result = Result(recovered=transaction.pending())
    if result.recovered:
        # The interrupted run may have reloaded already: what runs must be what is restored.
        transaction.rollback()
        _note(result, service.activate())
    result.changes = _changes(request, layout)
    if result.changes:
        check_changes(layout, result.changes)
    result.created_logs = _create_logs(request, layout)
    if result.changes:
        _note(result, _change(transaction, service, result.changes))
    elif service.master() is None:
        _note(result, service.activate())
    return result


def _note(result: Result, started: bool) -> None:
    result.started = result.started or started
    result.reloaded = result.reloaded or not started


def _change(transaction: Transaction, service: Service, changes: Sequence[Change]) -> bool:
    """Swaps the files in and makes them the running configuration; True when nginx was started for it."""
    active = service.master() is not None
    try:
        transaction.swap(changes)
        service.test()
        started = service.activate()
    except BaseException as error:
        _restore(transaction, service, active, error)
        raise
    transaction.commit()
    return started


def _restore(transaction: Transaction, service: Service, active: bool, error: BaseException) -> None:
    """Puts the previous files back and, if nginx was running, makes it run with them."""
    if not transaction.pending():
        return  # not even the journal could be written: no file was touched
    transaction.rollback()
    try:
        if active:
            service.activate()
    except NginxError as second:
        raise NginxError(f"{error}\nThe previous files are back, but nginx does not run with them: {second}") from error
    if isinstance(error, (NginxError, OSError)):
        state = "nginx runs with them" if active else "nginx is stopped, as it was"
        raise NginxError(f"{error}\nThe previous files are back, and {state}.") from error


def _changes(request: Request, layout: Layout) -> list[Change]:
    absent = list(request.absent)
    if request.disable_default_site and DEFAULT_SITE not in request.files and default_site_is_untouched(layout.config):
        absent.append(DEFAULT_SITE)
    return compare(layout.config, request.files, list(dict.fromkeys(absent)))


def default_site_is_untouched(config: Path) -> bool:
    """Whether the enabled default site is the link of Debian's package to the file as the package brought it."""
    link = read_entry(config / DEFAULT_SITE)
    if link is None or link.target not in (str(config / DEFAULT_SITE_FILE), f"../{DEFAULT_SITE_FILE}"):
        return False
    entry = read_entry(config / DEFAULT_SITE_FILE)
    if entry is None or entry.target is not None:
        return False
    # MD5 is what dpkg records; it is compared, not trusted.
    digest = hashlib.md5(entry.content, usedforsecurity=False).hexdigest()
    # Which of the two packages has the file depends on the release; a package that is missing is no error here.
    result = run(["dpkg-query", "--show", "--showformat=${Conffiles}\n", "nginx-common", "nginx"])
    return [str(config / DEFAULT_SITE_FILE), digest] in [line.split()[:2] for line in result.stdout.splitlines()]


def _missing_logs(request: Request, layout: Layout) -> list[str]:
    bad = [name for name in request.logs if not name or "/" in name or name in (".", "..")]
    if bad:
        raise NginxError(f"{', '.join(map(repr, bad))}: no file name in {layout.logs}.")
    return [str(layout.logs / name) for name in request.logs if not (layout.logs / name).exists()]


def _create_logs(request: Request, layout: Layout) -> list[str]:
    """Makes the log files as Debian's logrotate policy does; nginx itself would make them readable for everyone."""
    missing = _missing_logs(request, layout)
    for path in missing:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, LOG_MODE)
        try:
            os.fchown(descriptor, pwd.getpwnam("www-data").pw_uid, grp.getgrnam("adm").gr_gid)
            os.fchmod(descriptor, LOG_MODE)
        finally:
            os.close(descriptor)
    return missing


@contextmanager
def _lock(path: Path, wait: float) -> Iterator[None]:
    """Runs of several controllers, or of several services on one host, change the configuration one after another."""
    deadline = time.monotonic() + wait
    with path.open("a", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NginxError(
                        f"Another run has been changing the nginx configuration for more than {wait:.0f} s "
                        f"(it holds {path}). Nothing was changed."
                    ) from None
                time.sleep(0.1)
        yield
