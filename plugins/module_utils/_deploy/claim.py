# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run over many hosts claims each of them: a second one is told before it changes anything, also between two hosts.

The deploy lock is held only while something happens on its host. A claim is a record that lasts from the beginning of
the run until the host's turn is over, and for so many seconds at most: that of a run that died counts for nothing then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._host.errors import StabilityError
from .._host.state_file import save_json
from .._release.lock import lock_holder, lock_path
from .model import Places
from .state import linked_name, read_active, release_names


@dataclass(frozen=True)
class Claim:
    """Who has the host. Times are in seconds since the epoch."""

    run: str
    """Names the run: a claim of the same run is no obstacle."""
    what: str
    who: str
    began: float
    until: float
    controller: str = ""
    """The controller that the run was begun on, and its process there: whether it still lives is known there alone."""
    process: int = 0


class ClaimError(StabilityError):
    """The host can't be claimed: the message says who has it, since when, and what to do."""

    other: Claim | None = None
    """The claim that is in the way."""


def claim_path(releases: Path) -> Path:
    """Where the claim on a service lies whose releases are in that directory."""
    return releases.parent / ".deploy.claim"


def take(releases: Path, claim: Claim, take_over: bool, check_mode: bool = False) -> None:
    """Put the claim there, or renew it. Raises ClaimError when another run has the host, or a deployment is at work."""
    if not releases.is_dir():
        raise ClaimError(f"the service is not set up on this host: {releases} is not there. Apply site.yml first")
    with _alone(releases):
        holder = lock_holder(lock_path(releases))
        if holder:
            raise ClaimError(f"Another deployment is at work: {holder}")
        other = read(claim_path(releases))
        if other and other.run != claim.run and claim.began < other.until and not take_over:
            error = ClaimError(_refusal(other, claim.began))
            error.other = other
            raise error
        if not check_mode:
            save_json(claim_path(releases), asdict(claim))


def drop(releases: Path, run: str) -> bool:
    """Remove the claim if it is this run's; whether there was one."""
    if not releases.is_dir():
        return False
    with _alone(releases):
        found = read(claim_path(releases))
        if found is None or found.run != run:
            return False
        claim_path(releases).unlink()
        return True


def read(path: Path) -> Claim | None:
    """The claim that lies there; None when there is none, or none that can be read."""
    try:
        return Claim(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def releases_of(places: Places) -> dict[str, Any]:
    """Which releases the host has, and which of them serves."""
    active = read_active(places)
    return {
        "active": active.release if active else "",
        "activation": active.name if active else "",
        "previous": linked_name(places.previous),
        "releases": list(release_names(places.releases)),
    }


def _refusal(other: Claim, now: float) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(other.began))
    minutes = max(1, round((other.until - now) / 60))
    return (
        f"Another run has this host: {other.what} by {other.who}, which last claimed it at {since}. Wait for its end."
        f" If it has died, its claim ends in {minutes} min, or with -e deploy_take_over=true at once"
    )


@contextlib.contextmanager
def _alone(releases: Path) -> Iterator[None]:
    """One claim at a time is looked at and put."""
    descriptor = os.open(releases, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
