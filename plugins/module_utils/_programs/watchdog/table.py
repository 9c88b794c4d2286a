# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `status` prints for people: problems first, then how much of each limit is used, then what is well."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from ..._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, rank
from ..._host.console import visible
from ..display import STATES, Line, as_bar, as_lines, causes_first, in_colour, level_of, merged
from .diagnosis import DIAGNOSE
from .usage import MB


def as_table(status: Mapping[str, Any], coloured: bool, width: int = 0) -> str:
    """Of the content of status.json, in lines of that width, 0 for any. Raises what a damaged one makes it raise."""
    lines = [*merged([*_targets(status), *_problems(status)]), *_workers(status), _budget(status)]
    well = [name for name, target in status["targets"].items() if not target["condition"] and not target["inhibition"]]
    if well:
        lines.append(Line(OK, OK, ", ".join(well), ""))
    return "".join(f"{line}\n" for line in [_head(status, coloured), *as_lines(lines, coloured, width)])


def _head(status: Mapping[str, Any], coloured: bool) -> str:
    until, state = status["paused_until"], status["state"]
    pause = f" until {when(until)}" if until else " until `resume`" if state == "paused" else ""
    name = visible(f"{status['service']} on {status['host']}")
    level = level_of(status)
    # probes that are well are not the whole of it
    word = f"{level.upper()}, serving" if STATES.get(state) == OK != level else visible(state.upper())
    return f"{name}: {in_colour(level, word, coloured)}{pause} since {when(status['since'])}"


def when(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _targets(status: Mapping[str, Any]) -> Iterator[Line]:
    severities = {item["key"]: item["severity"] for item in status["problems"]}
    for name, target in status["targets"].items():
        condition, inhibition = target["condition"], target["inhibition"]
        if condition:
            level = _level(severities.get(name, WARNING))
            yield Line(level, level, name, f"{target['phase']}: {condition['message']}")
        if inhibition:
            yield Line(WARNING, " ", name, f"no action is taken: {inhibition['message']}")


def _problems(status: Mapping[str, Any]) -> Iterator[Line]:
    """The worst first, each with the name of its check, but for what the lines of the targets say already."""
    known = {problem["key"] for problem in status["problems"]}
    by_diagnosis = False
    for item in sorted(status["problems"], key=_order):
        check, severity = item["key"].removeprefix(DIAGNOSE), item["severity"]
        level = _level(severity)
        if not item["seen"]:
            text = f"{severity} since {when(item['since'])}, not seen by the last probe"
            yield Line(level, "open", check, text)
        elif not _is_said(item["key"], status["targets"]):
            yield Line(level, level, check, item["message"])
            by_diagnosis = by_diagnosis or check != item["key"]
    for finding in status["diagnosis"].get("raised", ()):
        # what the watchdog judges itself as well
        if finding["status"] in (WARNING, CRITICAL) and f"{DIAGNOSE}{finding['check']}" not in known:
            by_diagnosis = True
            yield Line(finding["status"], finding["status"], finding["check"], "found by the diagnosis")
    if by_diagnosis:
        yield Line(OK, " ", "", f"diagnosed at {when(status['diagnosed'])}; {status['service']}-diagnose looks again")


def _order(problem: Mapping[str, Any]) -> tuple[int, int]:
    return -rank(_level(problem["severity"])), causes_first(problem["key"].removeprefix(DIAGNOSE))


def _level(severity: str) -> str:
    return severity if severity in (WARNING, CRITICAL) else UNKNOWN


def _is_said(key: str, targets: Mapping[str, Any]) -> bool:
    target, _dot, code = key.partition(".")
    found = targets.get(target, {})
    reason = found.get("inhibition" if code else "condition")
    return bool(reason) and code in ("", reason["code"])


def _workers(status: Mapping[str, Any]) -> Iterator[Line]:
    limit = status["limits"]["memory"]
    conditions = [target["condition"]["message"] for target in status["targets"].values() if target["condition"]]
    for worker in status["readings"]["workers"]:
        well = worker["online"] and not worker["problem"] and worker["answer_ms"] is not None
        used = f"{as_bar(100 * worker['rss'] / limit)} of {limit / MB:.0f} MB, " if worker["rss"] and limit else ""
        level = OK if well else WARNING
        is_said = any(worker["problem"] in message for message in conditions)
        problem = "unhealthy" if worker["problem"] and is_said else worker["problem"]
        text = used + _worker({**worker, "problem": problem}, bool(used))
        yield Line(level, "used" if used else level, f"worker {worker['pm_id']}", text)


def _worker(worker: Mapping[str, Any], has_size: bool) -> str:
    """What is known of one: one that waits for a restart has neither process nor memory."""
    if not worker["pid"]:
        return f"no process, {worker['status']}"
    size = f", {worker['rss'] / MB:.0f} MB" if worker["rss"] and not has_size else ""
    taken = worker["answer_ms"]
    answer = "no answer" if taken is None else f"answers in {taken:.0f} ms"
    return f"process {worker['pid']}, {worker['status']}{size}, {worker['problem'] or answer}"


def _budget(status: Mapping[str, Any]) -> Line:
    """Each target has its own: the bar is of the one that has used most."""
    budget = status["budget"]
    most, limit = max(budget["used"].values()), budget["limit"]
    used = ", ".join(f"{name} {count}" for name, count in budget["used"].items())
    text = f"{as_bar(100 * most / limit)} of {limit}: {used} within {budget['window'] / 60:g} minutes"
    return Line(OK if most < limit else CRITICAL, "used", "steps", text)
