# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis prints for people: problems first, then how much of each limit is used, then what is well."""

from __future__ import annotations

import datetime
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._checks.findings import CRITICAL, OK, UNKNOWN, WARNING, Finding, rank, worst_of
from ..._host.console import visible
from ..display import as_bar, painted


def as_table(settings: Mapping[str, Any], findings: Sequence[Finding], *, coloured: bool, everything: bool) -> str:
    """All findings as they came, or with what is well folded to a line."""
    counted = Counter(finding.status for finding in findings)
    counts = [
        f"{counted[status]} {status}"
        for status in (CRITICAL, UNKNOWN, WARNING, OK)
        if counted[status] or status != UNKNOWN
    ]
    head = f"{settings['service']} on {socket.gethostname()} at {now()}: {worst_of(findings).upper()}"
    lines = _all(findings, coloured) if everything else _folded(findings, coloured)
    return "\n".join([f"{head} ({', '.join(counts)})", *lines]) + "\n"


def now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _all(findings: Sequence[Finding], coloured: bool) -> list[str]:
    width = _width(findings)
    return [
        f"{painted(finding.status, coloured)}  {visible(f'{finding.check:<{width}}  {finding.message}')}"
        for finding in findings
    ]


def _folded(findings: Sequence[Finding], coloured: bool) -> list[str]:
    problems = [finding for finding in findings if finding.status != OK]
    lines = _all(sorted(problems, key=lambda finding: -rank(finding.status)), coloured)
    used = [(finding, finding.value) for finding in findings if finding.unit == "%" and finding.threshold is not None]
    width = _width(finding for finding, _value in used)
    lines += [
        f"{painted(finding.status, coloured, 'used')}  {visible(f'{finding.check:<{width}}')}  {as_bar(percent)}"
        for finding, percent in used
        if isinstance(percent, int | float)
    ]
    well = Counter(finding.check.partition(".")[0] for finding in findings if finding.status == OK)
    if well:
        names = [f"{name} ({count})" if count > 1 else name for name, count in well.items()]
        lines.append(f"{painted(OK, coloured)}  {visible(', '.join(names))}; --all shows each")
    return lines


def _width(findings: Iterable[Finding]) -> int:
    return max((len(finding.check) for finding in findings), default=0)
