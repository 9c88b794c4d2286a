# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site's wishes mean for the files of a host: what changes, what is taken over, what is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .._host.errors import StabilityError
from .._host.files import Change, Entry
from .connections import DIRECTIVE, MAIN, raised
from .ledger import Ledger, Record, Shared, Trace
from .transaction import compare, read_entry

# Debian's nginx.conf includes modules-enabled/*.conf at its top level.
LIMITS = "modules-enabled/90-worker-limits.conf"
LIMITS_HEAD = "# The largest values that sites of this host ask for. Written by workbot.stability.nginx_site.\n"
# What the role's earlier versions, which kept no records, put at the head of their files.
MARK = b"Ansible managed"
MARK_WITHIN = 200
DURATION = re.compile(r"(?:\d+(?:ms|[smhdwMy])?)+")
UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}


@dataclass(frozen=True)
class Wish:
    """What a site wants to have. Paths are relative to the configuration directory."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    shared: Mapping[str, Shared] = field(default_factory=dict)
    worker_limits: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    adopt: Sequence[str] = ()
    certificates: Mapping[str, str] = field(default_factory=dict)
    """Digests of certificates and keys that are somebody else's files, by path."""
    default_site: str = ""
    """Where Debian's default site points, which is absent for this site."""
    given_back: Mapping[str, Entry] = field(default_factory=dict)
    """What the host had before its sites, and has again; no site's own."""


@dataclass(frozen=True)
class Plan:
    """What there is to do. The record is a change of the ledger's own file, outside of nginx's configuration."""

    changes: list[Change] = field(default_factory=list)
    record: Change | None = None
    adopted: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    """Directories that were made for the site and that it no longer needs, the deepest first."""

    def concerns_nginx(self) -> bool:
        return bool(self.changes or self.renewed)


def make_plan(root: Path, ledger: Ledger, wish: Wish) -> Plan:
    """Raises StabilityError when the wishes collide with what is somebody else's."""
    both = sorted(wish.files.keys() & {*wish.shared, LIMITS} | wish.shared.keys() & {LIMITS})
    if both:
        raise StabilityError(f"{', '.join(both)}: wanted twice, for this site and for several. Nothing was changed.")
    ledger.refuse_files([*wish.files, *wish.absent])
    for path, shared in wish.shared.items():
        ledger.refuse_shared(path, shared)
    entries = {
        **_main_entry(root, ledger, wish.worker_limits),
        **wish.files,
        **_shared_entries(ledger, wish.shared),
        **_limits_entry(ledger, wish.worker_limits),
        **wish.given_back,
    }
    found = compare(root, entries, [*wish.absent, *_gone(ledger, wish, entries)])
    known = ledger.own.traces()
    changes = [replace(change, secret=change.secret or _was_secret(known.get(change.path))) for change in found]
    for change in changes:
        _refuse_stranger(root, ledger, wish, change)
    return Plan(
        changes=changes,
        record=_record_change(root, ledger, wish),
        emptied=[path for path in reversed(ledger.own.directories) if path not in _parents(wish)],
        adopted=_adopted(root, ledger, wish, changes),
        edited=[path for path in (change.path for change in changes) if _edited(root, known.get(path), path)],
        renewed=sorted(path for path, digest in wish.certificates.items() if _differs(ledger, path, digest)),
    )


def _shared_entries(ledger: Ledger, shared: Mapping[str, Shared]) -> dict[str, Entry]:
    return {path: one.entry for path, one in shared.items() if not ledger.outdated(path, one)}


def _limits_entry(ledger: Ledger, limits: Mapping[str, str]) -> dict[str, Entry]:
    """The file of host-wide limits, unless no site has any."""
    parts = [*ledger.limits(), *([limits] if limits else [])]
    return {LIMITS: Entry(limits_text(parts).encode())} if parts else {}


def _main_entry(root: Path, ledger: Ledger, limits: Mapping[str, str]) -> dict[str, Entry]:
    """nginx.conf, where it has not the connections that the sites ask for."""
    entry = read_entry(root / MAIN)
    if entry is None or entry.target is not None:
        return {}
    asked = [int(part[DIRECTIVE]) for part in (*ledger.limits(), limits) if DIRECTIVE in part]
    # Byte for byte: whoever wrote it may have used any encoding.
    text = entry.data.decode("latin-1")
    return {MAIN: replace(entry, content=raised(text, max(asked, default=0)).encode("latin-1"))}


def _gone(ledger: Ledger, wish: Wish, entries: Mapping[str, Entry]) -> list[str]:
    """What the site had and no longer wants, without what other sites still share."""
    had = {path: None for path in ledger.own.traces() if path not in wish.files and path not in wish.shared}
    if ledger.own.worker_limits and LIMITS not in entries:
        had[LIMITS] = None
    return [path for path in had if path not in wish.absent and not ledger.sharers(path) and path not in entries]


def _refuse_stranger(root: Path, ledger: Ledger, wish: Wish, change: Change) -> None:
    path, before = change.path, change.before
    if path == MAIN and path not in wish.files:
        return  # a number of it alone
    if before is None or change.after is None or path in ledger.own.traces() or ledger.sharers(path):
        return
    if path == LIMITS and (ledger.limits() or ledger.own.worker_limits):
        return
    if (path in wish.adopt or path == LIMITS) and MARK in before.data[:MARK_WITHIN]:
        return
    raise StabilityError(
        f"{root / path} is there already, holds something else, and no site has it in its record: it is somebody "
        "else's. Move it away, or give the new file another name. Nothing was changed."
    )


def _was_secret(trace: Trace | None) -> bool:
    return trace is not None and trace.secret


def _edited(root: Path, trace: Trace | None, path: str) -> bool:
    return trace is not None and not trace.fits(read_entry(root / path))


def _adopted(root: Path, ledger: Ledger, wish: Wish, changes: Sequence[Change]) -> list[str]:
    """Files that were there as wanted, and become the site's."""
    changed, had = {change.path for change in changes}, ledger.own.traces()
    wanted = [*wish.files, *wish.shared]
    return [
        path
        for path in wanted
        if path not in had and path not in changed and not ledger.sharers(path) and read_entry(root / path)
    ]


def _differs(ledger: Ledger, path: str, digest: str) -> bool:
    return ledger.own.certificates.get(path) != digest


def _parents(wish: Wish) -> list[str]:
    """The directories of the files, each after the one that it is in."""
    paths = [PurePosixPath(path) for path in (*wish.files, *wish.shared)]
    return sorted({str(parent) for path in paths for parent in path.parents if parent.name})


def _record_change(root: Path, ledger: Ledger, wish: Wish) -> Change | None:
    made = [path for path in _parents(wish) if path in ledger.own.directories or not (root / path).exists()]
    record = Record(
        directories=tuple(made),
        files={path: Trace.of(entry) for path, entry in wish.files.items()},
        shared={path: Trace.of(one.entry, one.version) for path, one in wish.shared.items()},
        worker_limits=wish.worker_limits,
        certificates=wish.certificates,
        default_site=wish.default_site,
    )
    after = None if record.empty() else Entry(record.pack(), 0o600)
    return Change(str(ledger.path), ledger.entry, after) if after != ledger.entry else None


def limits_text(parts: Sequence[Mapping[str, str]]) -> str:
    """The directives, each with the largest value that a site asks for."""
    lines = []
    for directive in sorted({name for part in parts for name in part} - {DIRECTIVE}):
        values = [part[directive] for part in parts if directive in part]
        lines.append(f"{directive} {max(values, key=size)};\n")
    return LIMITS_HEAD + "".join(lines)


def size(value: str) -> float:
    """A number, or a duration as nginx writes it (90s, 1h 30m), in seconds; StabilityError for something else."""
    text = value.replace(" ", "")
    if not DURATION.fullmatch(text):
        raise StabilityError(f"worker_limits: {value!r} is neither a number nor a duration such as 30s, 10m or 1h.")
    parts = re.findall(r"(\d+)(ms|[smhdwMy]?)", text)
    return sum(int(number) * UNITS[unit] for number, unit in parts)
