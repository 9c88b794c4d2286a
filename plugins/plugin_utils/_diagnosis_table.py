# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagnoses of many hosts as one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, rank
from ..module_utils._checks.report import one_line
from ..module_utils._host.console import visible
from ._hosts import FAILED, failure_of, verdict

_NUMBERS = (CRITICAL, UNKNOWN, WARNING, OK)
_LEAST_NAME = 8
_MIXED = 2


@dataclasses.dataclass(frozen=True)
class HostResult:
    """What one host said, or why it said nothing."""

    name: str
    status: str
    findings: Sequence[Mapping[str, Any]] = ()
    problem: str = ""

    @property
    def bad(self) -> bool:
        """Whether somebody has to look: a host that can't be asked, or not all of it, may be in any state."""
        return self.status not in (OK, WARNING)

    def count(self, status: str) -> int:
        return sum(finding.get("status") == status for finding in self.findings)


def result_of(name: str, *candidates: Mapping[str, Any] | None) -> HostResult:
    """From what the tasks for that host's kinds have registered; None, or skipped, where one did not run."""
    ran = [one for one in candidates if one is not None and not one.get("skipped")]
    if not ran:
        return HostResult(name, FAILED, problem="the diagnosis did not run on this host")
    for registered in ran:
        if failure := failure_of(registered, "status"):
            state, said = failure
            return HostResult(name, state, problem=said or ("the task failed" if state == FAILED else ""))
    worst = max((one["status"] for one in ran), key=rank)
    findings = [finding for one in ran for finding in one.get("findings") or ()]
    return HostResult(name, worst, findings, next((one["problem"] for one in ran if one.get("problem")), ""))


def table(results: Sequence[HostResult]) -> list[tuple[str, str]]:
    """The lines with the status that each is about; a line without one has an empty status."""
    width = max([_LEAST_NAME, *(len(result.name) for result in results)])
    lines = [("", f"{'HOST':<{width}}  {'STATUS':<11}  {'CRITICAL':>8}  {'UNKNOWN':>7}  {'WARNING':>7}  {'OK':>3}")]
    for result in results:
        counts = [result.count(status) for status in _NUMBERS]
        numbers = "{:>8}  {:>7}  {:>7}  {:>3}".format(*counts) if result.findings else result.problem
        lines.append((result.status, f"{result.name:<{width}}  {result.status:<11}  {numbers}".rstrip()))
        lines += _worst_first(result.findings)
    mixed = mixed_releases(results)
    said = [*lines, (WARNING, mixed)] if mixed else lines
    return [(status, visible(text)) for status, text in said]


def mixed_releases(results: Sequence[HostResult]) -> str:
    """Which release each host runs, in one sentence, where they are not the same; else empty."""
    hosts: dict[str, list[str]] = {}
    for result in results:
        for finding in result.findings:
            if finding.get("check") == "release" and finding.get("value"):
                hosts.setdefault(str(finding["value"]), []).append(result.name)
    if len(hosts) < _MIXED:
        return ""
    said = "; ".join(f"{release} on {', '.join(names)}" for release, names in sorted(hosts.items()))
    return f"The hosts run different releases: {said}. Deploy, or roll back, on all of them."


def _worst_first(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    bad = sorted((finding for finding in findings if finding["status"] != OK), key=lambda one: -rank(one["status"]))
    width = max((len(finding["check"]) for finding in bad), default=0)
    return [
        (finding["status"], f"    {finding['status']:<8}  {finding['check']:<{width}}  {one_line(finding['message'])}")
        for finding in bad
    ]


def verdict_of(results: Sequence[HostResult]) -> str:
    """Which hosts are bad, in one sentence; empty when none is."""
    return verdict([(result.name, result.status) for result in results if result.bad], len(results))
