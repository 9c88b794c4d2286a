# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis sees of each worker only over time: how often it was started anew, and whether it grows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from ...._checks.findings import OK, FallingThresholds, Finding, Thresholds, judge_value
from ...._checks.memory import MB
from ...._host.processes import ProcessTree
from ...._pm2.process import Pm2Process
from ..runner import Context
from ..samples import per_hour

_HOUR = 3600.0
# A worker's memory goes up and down within minutes: a healthy one under load grew by 5 MB in half an hour, by which it
# would reach its limit in a day. So the time that it is watched for, half an hour at least for a fast leak, two and six
# hours for a slow one, says nothing of more than four times as long.
_SPANS = (1800.0, 2 * _HOUR, 6 * _HOUR)
_REACH = 4
# One that has just been started, as at each deployment, fills its caches: that is no leak.
_WARM_UP = 1800.0


def judge_restarts(context: Context, process: Pm2Process, thresholds: Thresholds) -> Finding:
    """Restarts of the last hour: PM2's own count leaves out those for too much memory, which a new start time shows."""
    key, check = f"restarts.{process.name}.{process.pm_id}", f"processes.restarts.{process.pm_id}"
    identity = f"{process.pid}:{process.started_at:.0f}"
    before = context.samples.previous(key)
    new = 0.0
    if before is not None and before.identity != identity:
        new = max(1.0, process.restarts - before.value)
    context.samples.record(key, identity, process.restarts, context.now, step=0)
    recent = round(context.samples.happened(key, new, context.now, _HOUR))
    message = f"{recent} restarts in the last hour; PM2 has counted {process.restarts} so far"
    advice = "Something ends this worker again and again: see the service's error log."
    return judge_value(check, recent, thresholds, message, advice, unit="restarts/h")


@dataclasses.dataclass(frozen=True)
class Growth:
    label: str
    rss: int
    per_hour: float
    """Bytes."""
    span: float
    """Seconds that it was watched for, at least."""

    def hours(self, limit: int) -> float | None:
        """Until it is as large as that; None where it does not grow, or nobody can tell."""
        if self.per_hour <= 0:
            return None
        hours = max(0.0, (limit - self.rss) / self.per_hour)
        return hours if hours * _HOUR <= _REACH * self.span else None


def judge_growth(context: Context, trees: Iterable[ProcessTree], limit_mb: int) -> list[Finding]:
    """How fast workers grow, and when the fastest would reach the limit at which it is restarted."""
    rows = [growth for tree in trees for span in _SPANS if (growth := _growth(context, tree, span)) is not None]
    if not limit_mb:
        return []
    return [judge_rows(rows, limit_mb * MB, context.falling_thresholds("growth_hours"))]


def _growth(context: Context, tree: ProcessTree, least: float) -> Growth | None:
    """None until a worker has been watched for so long."""
    started_at = tree.processes[0].started_at
    if context.now - started_at < _WARM_UP:
        return None
    identity = f"{tree.pid}:{started_at:.0f}"
    key = f"growth.{tree.label}.{least:.0f}"
    before = context.samples.baseline(key, identity, tree.rss, context.now, least)
    if before is None or before.identity != identity:
        return None
    rate = per_hour(tree.rss - before.value, context.now - before.time)
    return Growth(tree.label, tree.rss, rate, least) if rate is not None else None


def judge_rows(rows: Sequence[Growth], limit: int, thresholds: FallingThresholds) -> Finding:
    growing = [(hours, row) for row in rows if (hours := row.hours(limit)) is not None]
    if not growing:
        said = (
            "no worker is on course for its limit"
            if rows
            else "not measured yet: that takes an hour from a worker's start"
        )
        return Finding("memory.growth", OK, said, None, thresholds.warning, "hours")
    first, row = min(growing, key=lambda each: each[0])
    hours = round(first, 1)
    rate = f"{row.per_hour / MB:.1f} MB an hour"
    message = f"{row.label} grows by {rate}; it would reach the restart limit in {_time(hours)}"
    advice = "Compare two heap snapshots to find the leak."
    return judge_value("memory.growth", hours, thresholds, message, advice, unit="hours")


def _time(hours: float) -> str:
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004
