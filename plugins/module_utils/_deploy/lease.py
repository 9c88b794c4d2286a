# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run over many hosts takes a lease on each: a second one is refused before it changes anything, between hosts too.

The deploy lock is held only while something happens on its host. A lease is a record that lasts from the beginning of
the run until the host's turn is over, and for so many seconds at most: that of a run that died counts for nothing then.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._host.atomic import save_json
from .._host.errors import StabilityError
from .._host.lock import lock
from .._release.lock import at_work
from .actual import linked_name, read_active, release_names, replaced_by
from .model import Places

# The service can lock whatever it can open, such as the directory of its releases.
_LOCK = Path("/run/deploy-lease.lock")
_PATIENCE = 30.0


@dataclass(frozen=True)
class Lease:
    """Who has the host. Times are in seconds since the epoch."""

    run: str
    """Names the run: a lease of the same run is no obstacle."""
    what: str
    who: str
    began: float
    until: float
    controller: str = ""
    """The controller that the run was begun on, and its process there: whether it still lives is known there alone."""
    process: int = 0


class LeaseError(StabilityError):
    """The host can't be leased: the message says who has it, since when, and what to do."""

    other: Lease | None = None
    """The lease that is in the way."""


def lease_path(releases: Path) -> Path:
    """Where the lease on a service lies whose releases are in that directory."""
    return releases.parent / ".deploy.lease"


def take(releases: Path, lease: Lease, take_over: bool, check_mode: bool = False) -> None:
    """Put the lease there, or renew it. Raises LeaseError when another run has the host, or a deployment is at work."""
    if not releases.is_dir():
        raise LeaseError(f"the service is not set up on this host: {releases} is not there. Apply site.yml first")
    with _alone():
        if holder := at_work(releases):
            raise LeaseError(f"Another deployment is at work: {holder}")
        other = read(lease_path(releases))
        if other and other.run != lease.run and lease.began < other.until and not take_over:
            error = LeaseError(_refusal(other, lease.began))
            error.other = other
            raise error
        if not check_mode:
            save_json(lease_path(releases), asdict(lease))


def drop(releases: Path, run: str) -> bool:
    """Remove the lease if it is this run's; whether there was one."""
    if not releases.is_dir():
        return False
    with _alone():
        found = read(lease_path(releases))
        if found is None or found.run != run:
            return False
        lease_path(releases).unlink()
        return True


def read(path: Path) -> Lease | None:
    """The lease that lies there; None when there is none, or none that can be read."""
    try:
        return Lease(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def releases_of(places: Places) -> dict[str, Any]:
    """Which releases the host has, and which of them serves."""
    active = read_active(places)
    release = active.release if active else ""
    return {
        "active": release,
        "activation": active.name if active else "",
        "previous": replaced_by(release, linked_name(places.current), linked_name(places.previous)),
        "releases": list(release_names(places.releases)),
    }


def _refusal(other: Lease, now: float) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(other.began))
    minutes = max(1, round((other.until - now) / 60))
    return (
        f"Another run has this host: {other.what} by {other.who}, which last leased it at {since}. Wait for its end."
        f" If it has died, its lease ends in {minutes} min, or with -e deploy_take_over=true at once"
    )


def _alone() -> AbstractContextManager[None]:
    """One lease at a time is looked at and put."""
    return lock(_LOCK, LeaseError(f"another run is at its lease: it holds {_LOCK}"), seconds=_PATIENCE)
