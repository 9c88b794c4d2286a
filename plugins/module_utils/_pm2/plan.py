# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what is declared and what lives to the mildest steps between them. Nothing here touches a host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .fields import count, differences, mode
from .process import Pm2Process, stays_stopped

# from the mildest to the hardest
Action = Literal["none", "scale", "reload", "restart", "start", "stop", "delete", "recreate", "update"]


@dataclass(frozen=True)
class Step:
    """One thing to do about one app. `ids` are the PM2 numbers it concerns."""

    action: Action
    name: str
    ids: tuple[int, ...] = ()
    instances: int = 0
    reasons: tuple[str, ...] = field(default=())
    whole: bool = True
    """Whether all processes of the app are meant, and not only those of `ids`."""

    def report(self) -> dict[str, Any]:
        return {"action": self.action, "name": self.name, "reasons": list(self.reasons)}


def plan(
    apps: Iterable[Mapping[str, Any]],
    live: Iterable[Pm2Process],
    gone: Collection[str] = (),
    newest_input: float = 0,
    asked: str = "started",
) -> list[Step]:
    """The steps, in order. What is to be gone goes last: its successor is up by then.

    newest_input is the time (seconds since the epoch) before which no process may have been started; asked, whether
    the processes are to be `restarted` or `reloaded` beyond what is declared.
    """
    by_name: dict[str, list[Pm2Process]] = {}
    for process in live:
        by_name.setdefault(process.name, []).append(process)
    steps = [step for app in apps for step in _steps(app, by_name.get(app["name"], []), newest_input, asked)]
    return steps + [
        Step("delete", name, _ids(by_name[name]), reasons=("not declared any more",))
        for name in sorted(gone)
        if name in by_name
    ]


def strongest(steps: Iterable[Step]) -> Action:
    return max((step.action for step in steps), key=get_args(Action).index, default="none")


def _ids(processes: Iterable[Pm2Process]) -> tuple[int, ...]:
    return tuple(sorted({process.pm_id for process in processes}))


def stop(names: Collection[str], live: Iterable[Pm2Process]) -> list[Step]:
    """The steps after which none of the apps runs; they stay in PM2's list."""
    running: dict[str, list[Pm2Process]] = {}
    for process in live:
        if process.name in names and not process.dead:
            running.setdefault(process.name, []).append(process)
    return [Step("stop", name, _ids(running[name]), reasons=("asked for",)) for name in sorted(running)]


def finished(app: Mapping[str, Any], process: Pm2Process) -> bool:
    """Whether a process that does not run is as it should be."""
    return process.status == "stopped" and ended(app, process.settings.get("exit_code"))


def ended(app: Mapping[str, Any], code: Any) -> bool:
    """Whether an app that is stopped has done its work, by its exit code, or is never to be started by PM2."""
    done = app.get("autorestart") is False and code == 0
    return app.get("autostart") is False or done or stays_stopped(code, app.get("stop_exit_codes"))


def _steps(app: Mapping[str, Any], processes: list[Pm2Process], newest_input: float, asked: str) -> list[Step]:
    name, desired = app["name"], count(app.get("instances"))
    if not processes:
        return [Step("start", name, instances=desired, reasons=("not running",))]
    found = {item.field: item for process in processes for item in differences(app, process)}
    reasons = tuple(str(item) for item in found.values())
    number = (f"instances: {len(processes)} -> {desired}",) if len(processes) != desired else ()
    scalable = mode(app.get("exec_mode") or "fork") == "cluster"
    hard = any(item.remedy == "recreate" for item in found.values()) or (number and not scalable)
    if hard or (asked == "restarted" and found):
        return [Step("recreate", name, _ids(processes), desired, reasons + number)]
    scale = [Step("scale", name, _ids(processes), desired, number)] if number else []
    return [*_refresh(app, processes, reasons, newest_input, asked), *scale]


def _refresh(
    app: Mapping[str, Any], processes: list[Pm2Process], reasons: tuple[str, ...], newest_input: float, asked: str
) -> list[Step]:
    """What makes the processes take new settings, or run again; at most one step."""
    if asked == "restarted":
        return [Step("restart", app["name"], _ids(processes), reasons=("asked for",))]
    if any(process.started_at < newest_input and not process.dead for process in processes):
        reasons += ("a file it reads at its start is newer than the process",)
    if asked == "reloaded":
        reasons += ("asked for",)
    if reasons:
        # this starts the dead ones as well
        return [Step("reload", app["name"], _ids(processes), reasons=reasons)]
    dead = [process for process in processes if process.dead and not finished(app, process)]
    if not dead:
        return []
    said = tuple(f"{item.pm_id} is {item.status}" for item in dead)
    whole = len(dead) == len(processes)
    # `pm2 restart` of single processes takes these two back to PM2's defaults
    milder = whole or not any(app.get(name) for name in ("instance_var", "kill_retry_time"))
    return [Step("restart" if milder else "reload", app["name"], _ids(dead), reasons=said, whole=whole)]
