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
from hypothesis import given
from hypothesis import strategies as st

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


def shown(findings: list[Finding], *, coloured: bool = False, everything: bool = False, width: int = 0) -> list[str]:
    table = as_table({"service": "app"}, findings, coloured=coloured, everything=everything, width=width)
    return table.splitlines()


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


STOPPED = [
    Finding("health.http", CRITICAL, "http://localhost/api/health answered 503 instead of 200. See the error log."),
    Finding("proxy", CRITICAL, "http://127.0.0.1:80/health answered 503 instead of 200. See the error log."),
    Finding("units.postgresql@*.service", CRITICAL, "no unit postgresql@*.service is loaded."),
    Finding("database", CRITICAL, "no server listens there; on that host: `systemctl start postgresql`."),
    Finding("connections", WARNING, "not known: the database can't be asked. See the check database."),
    Finding("statements", WARNING, "not known: the database can't be asked. See the check database."),
    Finding("indexes", WARNING, "not known: the database can't be asked. See the check database."),
]


def test_a_cause_comes_before_its_symptoms_and_what_says_the_same_is_said_once() -> None:
    text = "\n".join(shown(STOPPED, width=80))
    expected = """\
critical  database              no server listens there; on that host:
                                `systemctl start postgresql`.
critical  units.postgresql@*.service  no unit postgresql@*.service is loaded.
critical  health.http           http://localhost/api/health answered 503 instead
                                of 200. See the error log.
critical  proxy                 http://127.0.0.1:80/health answered 503 instead
                                of 200. See the error log.
warning   connections, statements, indexes  not known: the database can't be
                                asked. See the check database."""
    assert text[text.index("critical  ") :] == expected


def test_lines_of_one_kind_are_one() -> None:
    workers = [f"shop-r1.{number}" for number in range(8)]
    silent = [Finding(f"event_loop.{name}", CRITICAL, f"{name} did not answer in 800 ms.") for name in workers]
    used = [Finding(f"memory.rss.{name}", OK, "", 10.0 + number, 85.0, "%") for number, name in enumerate(workers)]
    _head, *lines = shown([*silent, *used])
    alike = ", ".join(workers[1:])
    assert lines == [
        f"critical  event_loop.shop-r1.0  shop-r1.0 did not answer in 800 ms. Alike: {alike}",
        "used      memory.rss (8)  ###.................  17.0 % at most",
        "ok        memory (8); --all shows each",
    ]
    assert len(shown([*silent, *used], everything=True)) == 1 + len(silent) + len(used)


WORDS = st.text("abcxyz019.-/@`():;", min_size=1, max_size=30)


@given(st.lists(st.tuples(WORDS, st.lists(WORDS, max_size=30).map(" ".join)), max_size=6), st.integers(60, 200))
def test_no_word_is_broken_or_lost_and_no_line_too_long(said: list[tuple[str, str]], width: int) -> None:
    findings = [Finding(check, CRITICAL, message) for check, message in said]
    narrow, wide = (shown(findings, everything=True, width=columns)[1:] for columns in (width, 0))
    assert " ".join(" ".join(narrow).split()).endswith(" ".join(" ".join(wide).split()))
    assert all(len(line) <= width for line in narrow[1:])
