# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a run gave as their results, for the tables of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils._checks.report import one_line

UNREACHABLE = "unreachable"
FAILED = "failed"


def failure_of(registered: Mapping[str, Any], key: str) -> tuple[str, str] | None:
    """The state and the reason, if there is one, of a host whose task gave no `key`; None where it did."""
    said = one_line(str(registered.get("msg", "")).removeprefix("Task failed: "))
    if registered.get("unreachable"):
        return UNREACHABLE, said
    if registered.get("failed") or key not in registered:
        return FAILED, said
    return None


def verdict(bad: Sequence[tuple[str, str]], count: int) -> str:
    """Which of so many hosts are bad, by name and state, in one sentence; empty when none is."""
    named = ", ".join(f"{name} ({state})" for name, state in bad)
    return f"{len(bad)} of {count} hosts: {named}" if bad else ""
