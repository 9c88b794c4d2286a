# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `<service>-diagnose --json` printed on a host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .._host.console import visible
from .findings import CRITICAL, rank

_CLIPPED = 300


def parse_report(output: str, errors: str) -> dict[str, Any]:
    """What `<service>-diagnose --json` printed; `problem` where it is no report."""
    try:
        report = json.loads(output)
        findings = [_finding(finding) for finding in report["findings"]]
        rank(report["status"])
        return {"status": str(report["status"]), "findings": findings, "problem": ""}
    except (ValueError, TypeError, KeyError, RecursionError):
        said = one_line(errors) or one_line(output) or "it printed nothing"
        return {"status": CRITICAL, "findings": [], "problem": f"the diagnosis gave no report: {said}"}


def _finding(content: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValueError, TypeError or KeyError where it is none."""
    rank(content["status"])
    return {**content, "check": str(content["check"]), "message": str(content["message"])}


def one_line(text: str) -> str:
    """One line, not endless, in which whatever a terminal would obey is visible."""
    clean = visible(" ".join(text.split()))
    return clean if len(clean) <= _CLIPPED else clean[:_CLIPPED] + "..."
