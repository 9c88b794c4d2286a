# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the files of an nginx configuration are: a record for each site, so that a site removes what it no longer has
and never touches what is foreign.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.errors import StabilityError
from .._host.files import Entry
from .transaction import read_entry


@dataclass(frozen=True)
class Trace:
    """What is kept of a file that was written: enough to see whether it was edited since."""

    digest: str
    mode: int
    secret: bool = False
    version: int = 1

    @classmethod
    def of(cls, entry: Entry, version: int = 1) -> Trace:
        return cls(entry.checksum(), entry.mode, entry.secret, version)

    def fits(self, entry: Entry | None) -> bool:
        if entry is None or entry.target is not None:
            return False
        found = Trace.of(entry)
        return (found.digest, found.mode) == (self.digest, self.mode)


@dataclass(frozen=True)
class Shared:
    """A file that several sites want alike. Of two versions the higher one is the file of all."""

    entry: Entry
    version: int = 1


@dataclass(frozen=True)
class Record:
    """What a site has on the host: its files, its part in shared ones and in host-wide limits, the certificates that
    nginx has read from files of somebody else, the directories that were made for its files. And where Debian's default
    site pointed, if it was switched off for this site or before it for another one.
    """

    files: Mapping[str, Trace] = field(default_factory=dict)
    shared: Mapping[str, Trace] = field(default_factory=dict)
    worker_limits: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[str] = ()
    default_site: str = ""

    def empty(self) -> bool:
        return not (self.files or self.shared or self.worker_limits or self.certificates)

    def traces(self) -> dict[str, Trace]:
        return {**self.files, **self.shared}

    def pack(self) -> bytes:
        return (json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def unpack(cls, text: bytes) -> Record:
        """Raises ValueError, TypeError, KeyError or AttributeError for what pack() has not written."""
        found: dict[str, Any] = json.loads(text)
        return cls(
            files={path: Trace(**trace) for path, trace in found["files"].items()},
            shared={path: Trace(**trace) for path, trace in found["shared"].items()},
            worker_limits=dict(found["worker_limits"]),
            certificates=dict(found["certificates"]),
            directories=tuple(found["directories"]),
            default_site=str(found["default_site"]),
        )


class Ledger:
    """The records of a host, as seen by one of its sites."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.json"
        self.entry = read_entry(self.path)
        self.own = _read(self.path, self.entry)
        paths = sorted(directory.glob("*.json")) if directory.is_dir() else []
        # The journal, and what a killed run has not renamed yet, begin with a dot.
        others = [path for path in paths if path != self.path and not path.name.startswith(".")]
        self.others = {path.stem: _read(path, read_entry(path)) for path in others}

    def holder(self, path: str) -> str | None:
        """The other site that has this file for itself."""
        return next((name for name, record in self.others.items() if path in record.files), None)

    def sharers(self, path: str) -> dict[str, Trace]:
        """The other sites that share this file."""
        return {name: record.shared[path] for name, record in self.others.items() if path in record.shared}

    def default_site(self) -> str:
        """Where Debian's default site pointed that was switched off for another site; nothing where it was not."""
        return next((record.default_site for record in self.others.values() if record.default_site), "")

    def limits(self) -> list[Mapping[str, str]]:
        """The host-wide limits that the other sites ask for."""
        return [record.worker_limits for record in self.others.values() if record.worker_limits]

    def refuse_files(self, paths: Iterable[str]) -> None:
        """StabilityError when a file that a site wants for itself, or wants to be gone, is another site's."""
        for path in paths:
            others = sorted({name for name in [self.holder(path), *self.sharers(path)] if name})
            if others:
                raise StabilityError(
                    f"{path} belongs to {' and '.join(others)}, another site of this host (see {self.path.parent}). "
                    "Give the file another name. Nothing was changed."
                )

    def refuse_shared(self, path: str, shared: Shared) -> None:
        """StabilityError when other sites have this file for themselves, or share it with other content."""
        holder = self.holder(path)
        if holder:
            raise StabilityError(f"shared_files: {path} belongs to {holder} alone. Nothing was changed.")
        for name, trace in self.sharers(path).items():
            if trace.version == shared.version and not trace.fits(shared.entry):
                raise StabilityError(
                    f"shared_files: {path} is shared with {name}, which wants other content or another mode. Give both "
                    f"the same, or this one a version above {trace.version}, which then counts for all. "
                    "Nothing was changed."
                )

    def outdated(self, path: str, shared: Shared) -> bool:
        """Whether another site has brought a newer version of this file."""
        return any(trace.version > shared.version for trace in self.sharers(path).values())


def _read(path: Path, entry: Entry | None) -> Record:
    if entry is None:
        return Record()
    try:
        return Record.unpack(entry.data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StabilityError(
            f"{path} is no record of a site's files ({type(error).__name__}: {error}). Restore it from a backup, "
            "or remove it: files that are as the site wants them are then taken over. Nothing was changed."
        ) from error
