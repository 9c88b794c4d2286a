# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which workers a recovery step has stopped itself, so that nobody takes it for an operator's stop. Pure.

A step that restarts workers has PM2 stop them first. Where it gets no further, since a command of PM2's fails or the
watchdog is ended in the middle, they are `stopped` in PM2, as they are after `pm2 stop`. So it is noted beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..._pm2.rpc import WELL
from .model import OwnStop
from .readings import Readings, Worker

_STOPPED = "stopped"
# What PM2 has been asked to stop, and waits for the end of.
_ENDING = "stopping"


def noted(stops: Iterable[OwnStop], workers: Iterable[int], at: float) -> tuple[OwnStop, ...]:
    """The stops, and those of the workers that a step is about to stop, `at` in seconds since the epoch."""
    by_worker = {stop.worker: stop for stop in stops}
    return tuple((by_worker | {number: OwnStop(number, at) for number in workers}).values())


def lasting(stops: Iterable[OwnStop], readings: Readings) -> tuple[OwnStop, ...]:
    """Those of the stops that no probe has seen the end of. A worker that was in any other state, online above all, was
    stopped by another hand after that.
    """
    if readings.daemon.state != WELL:
        # then no worker is seen at all
        return tuple(stops)
    down = {worker.number for worker in readings.workers if worker.process.status in (_STOPPED, _ENDING)}
    return tuple(stop for stop in stops if stop.worker in down)


def is_own(stops: Iterable[OwnStop], worker: Worker) -> bool:
    """Whether the worker is stopped by a step. The process that the step, or anybody, has started since is not: it may
    have come and gone between two probes, or while no watchdog ran.
    """
    started_at = worker.process.started_at
    return worker.process.status == _STOPPED and any(
        stop.worker == worker.number and started_at <= stop.at for stop in stops
    )
