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
from ..._host.console import wrapped
from ..display import Line, as_bar, as_lines, causes_first, merged

_MANY = 3


def as_table(
    settings: Mapping[str, Any], findings: Sequence[Finding], *, coloured: bool, everything: bool, width: int = 0
) -> str:
    """All findings as they came, or with what is well folded to a line; as wide as the terminal, 0 for no limit."""
    counted = Counter(finding.status for finding in findings)
    counts = [
        f"{counted[status]} {status}"
        for status in (CRITICAL, UNKNOWN, WARNING, OK)
        if counted[status] or status != UNKNOWN
    ]
    head = f"{settings['service']} on {socket.gethostname()} at {now()}: {worst_of(findings).upper()}"
    parts = [[_line(finding) for finding in findings]] if everything else [_problems(findings), _rest(findings)]
    lines = [line for part in parts for line in as_lines(part, coloured, width)]
    return "\n".join([*wrapped(f"{head} ({', '.join(counts)})", width), *lines]) + "\n"


def now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _line(finding: Finding) -> Line:
    return Line(finding.status, finding.status, finding.check, finding.message)


def _problems(findings: Iterable[Finding]) -> list[Line]:
    """The worst first, and of these the causes."""
    problems = [finding for finding in findings if finding.status != OK]
    problems.sort(key=lambda finding: (-rank(finding.status), causes_first(finding.check)))
    return merged(_line(finding) for finding in problems)


def _rest(findings: Sequence[Finding]) -> list[Line]:
    """How much of each limit is used, and in one line what is well."""
    well = Counter(finding.check.partition(".")[0] for finding in findings if finding.status == OK)
    names = [f"{name} ({count})" if count > 1 else name for name, count in well.items()]
    return _used(findings) + ([Line(OK, OK, f"{', '.join(names)}; --all shows each", "")] if well else [])


def _used(findings: Iterable[Finding]) -> list[Line]:
    """How much of each limit is used; of many workers' the highest."""
    alike: dict[str, list[tuple[float, Finding]]] = {}
    for finding in findings:
        if finding.unit == "%" and finding.threshold is not None and isinstance(finding.value, int | float):
            kind = ".".join(finding.check.split(".")[:2])
            alike.setdefault(kind, []).append((finding.value, finding))
    lines = []
    for kind, group in alike.items():
        if len(group) >= _MANY:
            value, finding = max(group, key=lambda entry: entry[0])
            lines.append(Line(finding.status, "used", f"{kind} ({len(group)})", f"{as_bar(value)} at most"))
        else:
            lines += [Line(finding.status, "used", finding.check, as_bar(value)) for value, finding in group]
    return lines
