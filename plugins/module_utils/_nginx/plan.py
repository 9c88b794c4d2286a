# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a desired site means for the files of a host: what changes, what is taken over, what is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .._host.errors import StabilityError
from .._host.files import Change, Entry
from .._net.certificate import Certificate
from .connections import DIRECTIVE, MAIN, raised
from .debian import DEFAULT_SITE, DEFAULT_SITE_FILE, default_site_is_untouched, has_other_sites
from .ledger import Ledger, Record, Shared, Trace
from .probe import Probe
from .staging import Layout
from .transaction import compare, read_entry

# Debian's nginx.conf includes modules-enabled/*.conf at its top level.
LIMITS = "modules-enabled/90-worker-limits.conf"
LIMITS_HEAD = "# The largest values that sites of this host ask for. Written by workbot.stability.nginx_site.\n"
DURATION = re.compile(r"(?:\d+(?:ms|[smhdwMy])?)+")
UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}


@dataclass(frozen=True)
class Desired:
    """A site as it is to be. Paths are relative to the configuration directory; logs are names in the log directory."""

    name: str = ""
    files: Mapping[str, Entry] = field(default_factory=dict)
    shared: Mapping[str, Shared] = field(default_factory=dict)
    worker_limits: Mapping[str, str] = field(default_factory=dict)
    remove: bool = False
    absent: Sequence[str] = ()
    logs: Sequence[str] = ()
    ports: Sequence[int] = ()
    server_names: Sequence[str] = ()
    """Not to be changed, but to be free on the ports."""
    disable_default_site: bool = False
    certificates: Sequence[Certificate] = ()
    probes: Sequence[Probe] = ()
    limit_zones: Sequence[str] = ()
    announce: float = 0
    """Seconds before a reload for which clients are told that their connections will be closed."""
    unchanged: Mapping[str, str] = field(default_factory=dict)
    """What was read of files when it was decided what is desired."""

    def changes_something(self) -> bool:
        desired = self.files or self.shared or self.worker_limits or self.absent or self.logs
        return bool(desired or self.remove or self.disable_default_site)


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

    @property
    def writes(self) -> list[Change]:
        """All that the transaction changes."""
        return [*self.changes, *([self.record] if self.record else [])]

    def concerns_nginx(self) -> bool:
        return bool(self.changes or self.renewed)


def make_plan(layout: Layout, desired: Desired) -> Plan:
    """Raises StabilityError when what is desired collides with what is foreign."""
    root, ledger = layout.config, Ledger(layout.state, desired.name)
    default_site, absent = _default_site(root, ledger, desired)
    if desired.remove:
        desired = Desired(desired.name, remove=True)
    both = sorted(desired.files.keys() & {*desired.shared, LIMITS} | desired.shared.keys() & {LIMITS})
    if both:
        raise StabilityError(f"{', '.join(both)}: wanted twice, for this site and for several. Nothing was changed.")
    ledger.refuse_files([*desired.files, *absent])
    for path, shared in desired.shared.items():
        ledger.refuse_shared(path, shared)
    entries = {
        **_main_entry(root, ledger, desired.worker_limits),
        **desired.files,
        **{path: shared.entry for path, shared in desired.shared.items() if not ledger.outdated(path, shared)},
        **_limits_entry(ledger, desired.worker_limits),
    }
    gone = [*absent, *_gone(ledger, desired, {*entries, *absent})]
    if desired.remove:
        entries |= _given_back(root, ledger, gone)
    known = ledger.own.traces()
    changes = [
        replace(change, secret=change.secret or (change.path in known and known[change.path].secret))
        for change in compare(root, entries, gone)
    ]
    for change in changes:
        _refuse_stranger(root, ledger, desired, change)
    record = _record(layout, ledger, desired, default_site)
    return Plan(
        changes=changes,
        record=_record_change(ledger, record),
        emptied=[path for path in reversed(ledger.own.directories) if path not in record.directories],
        adopted=_adopted(ledger, desired, {change.path for change in changes}),
        edited=[
            change.path for change in changes if change.path in known and not known[change.path].fits(change.before)
        ],
        renewed=_renewed(ledger, record),
    )


def plan_renewal(layout: Layout, desired: Desired) -> Plan:
    """What there is to do where certificates have been renewed, and nothing else of the site is known."""
    ledger = Ledger(layout.state, desired.name)
    record = replace(ledger.own, certificates=_digests(layout, desired))
    return Plan(record=_record_change(ledger, record), renewed=_renewed(ledger, record))


def _renewed(ledger: Ledger, record: Record) -> list[str]:
    return sorted(path for path, digest in record.certificates.items() if ledger.own.certificates.get(path) != digest)


def _default_site(root: Path, ledger: Ledger, desired: Desired) -> tuple[str, list[str]]:
    """Where Debian's default site points that is switched off for this site, and the paths that are to be absent."""
    absent = list(dict.fromkeys(desired.absent))
    if not desired.disable_default_site or DEFAULT_SITE in desired.files:
        return "", absent
    if not default_site_is_untouched(root):
        return ledger.own.default_site or ledger.default_site(), absent
    return str((root / DEFAULT_SITE).readlink()), list(dict.fromkeys([*absent, DEFAULT_SITE]))


def _given_back(root: Path, ledger: Ledger, gone: Sequence[str]) -> dict[str, Entry]:
    """Debian's default site, if it was switched off for this site and no other site is there in its place."""
    target = ledger.own.default_site
    if not target or not (root / DEFAULT_SITE_FILE).exists() or has_other_sites(root, gone):
        return {}
    return {DEFAULT_SITE: Entry(target=target)}


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


def _gone(ledger: Ledger, desired: Desired, known: Collection[str]) -> list[str]:
    """What the site had and no longer has, without what other sites still share."""
    had = [path for path in ledger.own.traces() if path not in desired.files and path not in desired.shared]
    if ledger.own.worker_limits and LIMITS not in had:
        had.append(LIMITS)
    return [path for path in had if path not in known and not ledger.sharers(path)]


def _refuse_stranger(root: Path, ledger: Ledger, desired: Desired, change: Change) -> None:
    path, before = change.path, change.before
    if path == MAIN and path not in desired.files:
        return  # a number of it alone
    if before is None or change.after is None or path in ledger.own.traces() or ledger.sharers(path):
        return
    if path == LIMITS and (ledger.limits() or ledger.own.worker_limits):
        return
    raise StabilityError(
        f"{root / path} is there already, holds something else, and no site has it in its record: it is foreign. "
        "Move it away, or give the new file another name. Nothing was changed."
    )


def _adopted(ledger: Ledger, desired: Desired, changed: Collection[str]) -> list[str]:
    """Files that were there as desired, and become the site's."""
    had = ledger.own.traces()
    return [
        path
        for path in (*desired.files, *desired.shared)
        if path not in had and path not in changed and not ledger.sharers(path)
    ]


def _record(layout: Layout, ledger: Ledger, desired: Desired, default_site: str) -> Record:
    paths = [PurePosixPath(path) for path in (*desired.files, *desired.shared)]
    # each after the one that it is in
    parents = sorted({str(parent) for path in paths for parent in path.parents if parent.name})
    directories = [path for path in parents if path in ledger.own.directories or not layout.find(path).exists()]
    return Record(
        directories=tuple(directories),
        files={path: Trace.of(entry) for path, entry in desired.files.items()},
        shared={path: Trace.of(one.entry, one.version) for path, one in desired.shared.items()},
        worker_limits=desired.worker_limits,
        certificates=_digests(layout, desired),
        default_site=default_site,
    )


def _digests(layout: Layout, desired: Desired) -> dict[str, str]:
    """Of certificates and keys that are not among the files: nginx must reload when somebody else renews them."""
    paths = [path for one in desired.certificates for path in (one.certificate, one.key)]
    own = {layout.find(path) for path in desired.files}
    return {path: _digest(layout.find(path)) for path in paths if layout.find(path) not in own}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # the check in the copy says what is the matter with it
        return ""


def _record_change(ledger: Ledger, record: Record) -> Change | None:
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
