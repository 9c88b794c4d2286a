# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is declared and what lives to the mildest steps between them. Nothing here touches a host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ._pm2_client import LiveProcess
from ._pm2_fields import Difference, differences, mode

Action = Literal["none", "scale", "restart", "reload", "start", "recreate", "delete"]

# from the mildest to the hardest
SEVERITY: tuple[Action, ...] = ("none", "scale", "reload", "restart", "start", "delete", "recreate")


@dataclass(frozen=True)
class Step:
    """One thing to do about one app. `ids` are the PM2 numbers it concerns."""

    action: Action
    name: str
    ids: tuple[int, ...] = ()
    instances: int = 0
    reasons: tuple[str, ...] = field(default=())

    def report(self) -> dict[str, Any]:
        return {"action": self.action, "name": self.name, "reasons": list(self.reasons)}


def plan(
    apps: Iterable[Mapping[str, Any]],
    live: Iterable[LiveProcess],
    gone: Collection[str] = (),
    newest_input: float = 0,
) -> list[Step]:
    """The steps, in order. What is to be gone goes last: its successor is up by then.

    newest_input is the time (seconds since the epoch) before which no process may have been started.
    """
    by_name: dict[str, list[LiveProcess]] = {}
    for process in live:
        by_name.setdefault(process.name, []).append(process)
    steps = [step for app in apps for step in _steps(app, by_name.get(app["name"], []), newest_input)]
    return steps + [
        Step("delete", name, _ids(by_name[name]), reasons=("not declared any more",))
        for name in sorted(gone)
        if name in by_name
    ]


def strongest(steps: Iterable[Step]) -> Action:
    return max((step.action for step in steps), key=SEVERITY.index, default="none")


def _ids(processes: Iterable[LiveProcess]) -> tuple[int, ...]:
    return tuple(sorted({process.pm_id for process in processes}))


def _steps(app: Mapping[str, Any], processes: list[LiveProcess], newest_input: float) -> list[Step]:
    name, wanted = app["name"], int(app.get("instances") or 1)
    if not processes:
        return [Step("start", name, instances=wanted, reasons=("not running",))]
    found = _unique(item for process in processes for item in differences(app, process))
    reasons = tuple(str(item) for item in found)
    scalable = mode(app.get("exec_mode") or "fork") == "cluster"
    if any(item.remedy == "recreate" for item in found) or (len(processes) != wanted and not scalable):
        count = (f"instances: {len(processes)} -> {wanted}",) if len(processes) != wanted else ()
        return [Step("recreate", name, _ids(processes), wanted, reasons + count)]
    return [
        *_reload(name, processes, reasons, newest_input),
        *_restart(name, processes, found),
        *_scale(name, processes, wanted),
    ]


def _unique(items: Iterable[Difference]) -> list[Difference]:
    return list({item.field: item for item in items}.values())


def _reload(name: str, processes: list[LiveProcess], reasons: tuple[str, ...], newest_input: float) -> list[Step]:
    older = any(process.started_at < newest_input and not process.dead for process in processes)
    if not reasons and not older:
        return []
    aged = ("a file it reads at its start is newer than the process",) if older else ()
    return [Step("reload", name, _ids(processes), reasons=reasons + aged)]


def _restart(name: str, processes: list[LiveProcess], found: list[Difference]) -> list[Step]:
    dead = [process for process in processes if process.dead]
    if not dead or found:
        # a reload starts the dead ones as well
        return []
    return [Step("restart", name, _ids(dead), reasons=tuple(f"{item.pm_id} is {item.status}" for item in dead))]


def _scale(name: str, processes: list[LiveProcess], wanted: int) -> list[Step]:
    if len(processes) == wanted:
        return []
    return [
        Step("scale", name, _ids(processes), wanted, reasons=(f"instances: {len(processes)} -> {wanted}",)),
    ]
