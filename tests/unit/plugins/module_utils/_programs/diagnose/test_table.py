# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis prints for people."""

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import (
    CRITICAL,
    OK,
    UNKNOWN,
    WARNING,
    Finding,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.cli import EXIT
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.table import as_table

FOUND = [
    Finding("release", OK, "r1 is active"),
    Finding("disk./", WARNING, "used: 90 %", 90.0, 85.0, "%"),
    Finding("disk./srv", OK, "used: 4 %", 4.0, 85.0, "%"),
    Finding("heap_total", OK, "of what V8 has taken", 94.0, None, "%"),
    Finding("logs.a", OK, "0 MB", 0.0, 1024.0, "MB"),
    Finding("logs.b", OK, "0 MB", 0.0, 1024.0, "MB"),
    Finding("health", CRITICAL, "no answer\x1b[2J"),
    Finding("proxy", UNKNOWN, "the host is busy"),
]


def shown(findings: list[Finding], *, coloured: bool = False, everything: bool = False) -> list[str]:
    return as_table({"service": "app"}, findings, coloured=coloured, everything=everything).splitlines()


def test_problems_come_first_and_what_is_well_is_one_line() -> None:
    head, *lines = shown(FOUND)
    assert head.endswith(": CRITICAL (1 critical, 1 unknown, 1 warning, 5 ok)")
    assert lines == [
        "critical  health  no answer\\x1b[2J",
        "unknown   proxy   the host is busy",
        "warning   disk./  used: 90 %",
        "used      disk./     ##################..  90.0 %",
        "used      disk./srv  #...................   4.0 %",
        "ok        release, disk, heap_total, logs (2); --all shows each",
    ]


def test_a_host_that_is_well_is_said_in_two_lines() -> None:
    _head, *lines = shown([FOUND[0]])
    assert lines == ["ok        release; --all shows each"]
    assert len(shown([])) == 1


def test_everything_is_in_the_order_of_the_checks() -> None:
    lines = shown(FOUND, everything=True)[1:]
    assert [line.split()[1] for line in lines] == [finding.check for finding in FOUND]
    assert lines[0] == "ok        release     r1 is active"


def test_each_status_has_a_colour_and_an_exit_status() -> None:
    lines = "\n".join(shown([Finding("a", status, "") for status in EXIT], coloured=True))
    assert all(f"m{status}" in lines for status in EXIT)
    assert EXIT == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
