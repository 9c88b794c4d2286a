# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison of a check with its run, which scenarios make on real hosts, sees each kind of difference."""

from __future__ import annotations

from typing import Any

from prediction import Record, differences, touched


def change(task: str, item: str = "", after: object = "new\n") -> dict[str, Any]:
    diff = [{"before": "", "after": after, "before_header": "/etc/file"}] if after else []
    return {"host": "app1", "task": task, "item": item, "diff": diff}


def compare(check: list[dict[str, Any]], run: list[dict[str, Any]]) -> list[str]:
    return differences(Record([], check), Record([], run))


def test_the_same_changes_are_no_difference() -> None:
    changes = [change("service : Write"), change("pm2 : Install", "one"), change("pm2 : Install", "two")]
    assert compare(changes, changes) == []


def test_what_did_not_happen_and_what_nobody_announced_are_told() -> None:
    assert compare([change("nginx : Serve")], [change("pm2 : Install", "two")]) == [
        "announced, but did not happen: nginx : Serve",
        "happened unannounced: pm2 : Install (two)",
    ]


def test_a_handler_that_runs_twice_must_be_announced_twice() -> None:
    assert compare([change("Reload")], [change("Reload"), change("Reload")]) == ["happened unannounced: Reload"]


def test_another_content_than_announced_is_told() -> None:
    assert compare([change("Write", after="a\nb\n")], [change("Write", after="a\nc\n")]) == [
        "Write /etc/file: not as announced\n    @@ -2 +2 @@\n    -b\n    +c"
    ]


def test_a_content_that_only_one_of_them_shows_is_not_compared() -> None:
    assert compare([change("Write", after="")], [change("Write")]) == []


def test_a_run_that_failed_is_told() -> None:
    assert differences(Record([], []), Record(["app1"], [])) == ["failed on app1"]


def test_what_was_touched_is_told() -> None:
    assert touched({"/a": "1", "/b": "1"}, {"/a": "1", "/b": "2"}) == ["/b:\n    @@ -1 +1 @@\n    -1\n    +2"]
    assert touched({}, {"/c": "1"}) == ["/c:\n    @@ -1 +1 @@\n    -not there\n    +1"]
    assert touched({"/a": "1"}, {"/a": "1"}) == []
