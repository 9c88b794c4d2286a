# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The canary: a release that serves on one host is watched for a while, before the others get it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .._host.errors import StabilityError
from .access_log import AccessLog, Tally, problem_of
from .health_gate import GateError, Health, Workers, ask_proxy

_LOOK_SECONDS = 1.0
_BAD_LOOKS = 3
"""So many bad answers in a row through the proxy are no accident."""


@dataclass(frozen=True)
class Watched:
    """How long it was watched, and what its clients got before and since."""

    seconds: float
    before: Tally
    after: Tally


def switched_at(active_socket: Path) -> float:
    """When the release began to serve, in seconds since the epoch. Raises OSError."""
    return active_socket.lstat().st_mtime


def watch(workers: Workers, health: Health, log: AccessLog, seconds: float, max_percent: float) -> Watched:
    """Return when it was well for so long. Raises StabilityError at the first thing that is not."""
    began = time.monotonic()
    try:
        workers.wait_until_healthy(began + health.start_timeout)
        bad = 0
        while (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(_LOOK_SECONDS, left))
            workers.require_alive()
            bad = _ask(health, bad)
            _judge(log, max_percent)
        workers.require_same()
    except GateError as error:
        raise StabilityError(f"{error}, {time.monotonic() - began:.0f} s after the watch began") from error
    return Watched(round(time.monotonic() - began, 1), log.before, log.after)


def _ask(health: Health, bad: int) -> int:
    """How many answers in a row through the proxy were bad by now. Raises GateError when it is enough."""
    problem = ask_proxy(health, 0) if health.proxy_url else ""
    if problem and bad + 1 >= _BAD_LOOKS:
        raise GateError(f"{_BAD_LOOKS} answers in a row through the proxy were not healthy: {problem}")
    return bad + 1 if problem else 0


def _judge(log: AccessLog, max_percent: float) -> None:
    """Raises GateError when too many clients got an error."""
    log.read()
    if problem := problem_of(log.before, log.after, max_percent):
        raise GateError(problem)
