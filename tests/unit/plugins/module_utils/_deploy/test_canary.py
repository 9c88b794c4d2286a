# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.canary import Answers, Tally, problem_of

SWITCH = datetime.datetime(2026, 11, 25, 12, 0, tzinfo=datetime.UTC).timestamp()


def lines(seconds: int, *statuses: int, upstream: str = "unix:/srv/shop/active/0.sock") -> str:
    """As Nginx writes them, so many seconds after the switch."""
    moment = datetime.datetime.fromtimestamp(SWITCH + seconds, tz=datetime.timezone(datetime.timedelta(hours=8)))
    entries = [{"time": moment.isoformat(), "status": status, "upstream": upstream} for status in statuses]
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def read(answers: Answers) -> tuple[Tally, Tally]:
    answers.read()
    return answers.before, answers.after


def test_requests_before_and_since_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(lines(-60, 200, 502) + "no JSON\n" + '{"status": 500}\n' + lines(1, 200, 404, 500))
    assert read(Answers(path, SWITCH + 0.9)) == (Tally(2, 1), Tally(3, 1))


def test_what_nginx_answers_itself_says_nothing_of_a_release(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(lines(-60, 200) + lines(1, 503, 503, 503, upstream="") + lines(1, 200))
    assert read(Answers(path, SWITCH)) == (Tally(1, 0), Tally(1, 0))


def test_what_is_written_later_counts_once_also_across_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(lines(1, 200))
    answers = Answers(path, SWITCH)
    assert read(answers)[1] == Tally(1, 0)
    half = lines(2, 503)
    with path.open("a") as file:
        file.write(half[:20])
    assert read(answers)[1] == Tally(1, 0)
    with path.open("a") as file:
        file.write(half[20:])
    path.rename(tmp_path / "access.log.1")
    assert read(answers)[1] == Tally(2, 1)
    path.write_text(lines(3, 200, 200))
    assert read(answers)[1] == Tally(4, 1)
    assert read(answers)[1] == Tally(4, 1)


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(lines(-60, *[200] * 40000) + lines(1, 500))
    before, after = read(Answers(path, SWITCH))
    assert 10000 < before.requests < 40000
    assert after == Tally(1, 1)


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    answers = Answers(path, SWITCH)
    assert read(answers) == (Tally(), Tally())
    path.write_text(lines(1, 200))
    assert read(answers)[1] == Tally(1, 0)


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        (Tally(), Tally(), False),
        (Tally(1000, 0), Tally(100, 3), True),
        # two may be an accident
        (Tally(1000, 0), Tally(2, 2), False),
        (Tally(1000, 0), Tally(1000, 10), False),
        # clients had as many before
        (Tally(1000, 100), Tally(1000, 200), False),
        (Tally(1000, 100), Tally(1000, 201), True),
    ],
)
def test_more_errors_than_before_and_than_allowed_are_wrong(before: Tally, after: Tally, wrong: bool) -> None:
    assert bool(problem_of(before, after, 1)) is wrong
