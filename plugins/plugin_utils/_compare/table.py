# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs on the hosts of a run, as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._checks.report import one_line
from ...module_utils._host.console import visible
from .._hosts import FAILED, failure_of, verdict

SAME, DIFFERS = "as declared", "differs"
_LEAST_NAME = 8


@dataclass(frozen=True)
class HostDrift:
    """What was found on a host; `note` is what the comparison took, or why there is none."""

    name: str
    state: str
    differences: Sequence[Mapping[str, str]] = ()
    note: str = ""
    told: Sequence[str] = ()
    """What no run changes."""

    def as_dict(self) -> dict[str, Any]:
        return {"state": self.state, "differences": list(self.differences), "note": self.note, "told": list(self.told)}


def drift_of(name: str, registered: Mapping[str, Any] | None) -> HostDrift:
    """From what the comparison has registered for the host; None where it did not come to that."""
    if registered is None:
        return HostDrift(name, FAILED, note="it was not compared: see what the run says above")
    if failure := failure_of(registered, "differences"):
        state, said = failure
        return HostDrift(name, state, note=said or ("it was not compared" if state == FAILED else ""))
    found = registered["differences"]
    took = "{questions} questions in {rounds} calls, {seconds:.1f} s, of which the host worked {host_seconds:.1f} s"
    return HostDrift(name, DIFFERS if found else SAME, found, took.format(**registered), registered["told"])


def table(drifts: Sequence[HostDrift]) -> list[tuple[str, str]]:
    """The lines, each with the state that it is about, "" for none."""
    width = max([_LEAST_NAME, *(len(drift.name) for drift in drifts)])
    roles = max([4, *(len(one["role"]) for drift in drifts for one in drift.differences)])
    lines = [("", f"{'HOST':<{width}}  STATE")]
    for drift in drifts:
        lines.append((drift.state, f"{drift.name:<{width}}  {drift.state:<11}  {drift.note}".rstrip()))
        for one in drift.differences:
            what = f": {one_line(one['what'])}" if one["what"] else ""
            since = f" (since {one['since']})" if one.get("since") else ""
            lines.append((drift.state, f"    {one['role']:<{roles}}  {one['task']}{what}{since}"))
        lines += [(drift.state, f"    by hand: {one_line(text)}") for text in drift.told]
    return [(state, visible(text)) for state, text in lines]


def verdict_of(drifts: Sequence[HostDrift]) -> str:
    """Which hosts are not as declared, in one sentence; empty when all are."""
    return verdict([(drift.name, drift.state) for drift in drifts if drift.state != SAME], len(drifts))
