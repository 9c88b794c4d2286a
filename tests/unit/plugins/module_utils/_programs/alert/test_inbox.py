# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.inbox import (
    collect,
    read,
    remove,
    waiting,
)

NOW = 1000.0
EVENT = {"time": 5.0, "kind": "problem", "key": "service.x", "code": "x", "severity": "critical", "message": "m"}


@pytest.fixture
def directories(tmp_path: Path) -> tuple[Path, Path]:
    events, inbox = tmp_path / "events", tmp_path / "inbox"
    events.mkdir()
    inbox.mkdir()
    return events, inbox


def write(directory: Path, name: str, **more: object) -> Path:
    path = directory / name
    path.write_text(json.dumps({**EVENT, **more}), encoding="utf-8")
    path.chmod(0o600)
    return path


def test_events_are_moved_readable_and_in_order_and_what_is_being_written_is_left(
    directories: tuple[Path, Path],
) -> None:
    events, inbox = directories
    write(events, "2-1-0.json", key="service.b")
    write(events, "1-1-0.json", key="service.a")
    being_written = write(events, ".3.json.tmp")
    assert collect(events, inbox) == 2
    assert list(events.iterdir()) == [being_written]
    assert stat.S_IMODE((inbox / "1-1-0.json").stat().st_mode) == 0o444
    assert [event.key for event in read(inbox, waiting(inbox), NOW)] == ["service.a", "service.b"]
    remove(inbox, [*waiting(inbox), "gone.json"])
    assert waiting(inbox) == []


def test_no_link_leads_root_or_the_reader_to_others_files(directories: tuple[Path, Path], tmp_path: Path) -> None:
    events, inbox = directories
    secret = write(tmp_path, "secret.json")
    (events / "1.json").symlink_to(secret)
    os.link(secret, events / "2.json")
    os.mkfifo(events / "3.json")
    (events / "4.json").mkdir()
    write(events, "5.json")
    assert collect(events, inbox) == 1
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert waiting(inbox) == ["5.json"]
    assert secret.exists()


def test_what_is_no_file_of_the_watchdog_is_out_of_the_way_and_said(
    directories: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    events, inbox = directories
    for name in ("1.json", "2.json"):  # under one name again and again: the second must not hit the first
        (events / "0-full.json").mkdir()
        (events / "0-full.json" / "x").touch()
        write(events, name)
        assert collect(events, inbox) == 1
    assert waiting(inbox) == ["1.json", "2.json"]
    assert not [path for path in events.iterdir() if not path.name.startswith(".")]
    for number in range(20):
        os.mkfifo(events / f"{number}.pipe")
    assert collect(events, inbox) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "'0-full.json' is no event and is dropped: is not a regular file"
    assert len(said) == 2 + 5 + 1
    assert said[-1] == "15 more are no events and are dropped"


def test_an_empty_directory_leaves_nothing(directories: tuple[Path, Path]) -> None:
    events, inbox = directories
    (events / "1.json").mkdir()
    assert collect(events, inbox) == 0
    assert [*events.iterdir(), *inbox.iterdir()] == []


def test_what_a_run_that_was_killed_left_half_way_holds_up_nothing(directories: tuple[Path, Path]) -> None:
    events, inbox = directories
    (inbox / ".arriving").mkdir()
    (inbox / ".arriving" / "x").touch()
    write(events, "1.json")
    assert collect(events, inbox) == 1
    assert waiting(inbox) == ["1.json"]
    (inbox / ".arriving").write_text("half of an event")
    write(events, "2.json")
    assert collect(events, inbox) == 1
    assert waiting(inbox) == ["1.json", "2.json"]
    assert not (inbox / ".arriving").exists()


def test_no_run_takes_in_more_than_a_thousand_and_a_full_inbox_says_so(directories: tuple[Path, Path]) -> None:
    events, inbox = directories
    for number in range(1010):
        (events / f"{number:04}.json").touch()
    assert collect(events, inbox) == 1000
    assert waiting(events) == [f"{number}.json" for number in range(1000, 1010)]
    with pytest.raises(OSError, match="nobody takes"):
        collect(events, inbox)


def test_only_root_sends_test_messages(directories: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    events, inbox = directories
    write(events, "1-test.json", kind="test")
    write(events, "2.json", kind="test")
    assert collect(events, inbox) == 1
    assert read(inbox, waiting(inbox), NOW) == []
    assert capsys.readouterr().err.count("only root sends test messages") == 2
    write(inbox, "3-test.json", kind="test")
    assert [event.kind for event in read(inbox, ["3-test.json"], NOW)] == ["test"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_another_thing_in_place_of_the_directory_is_removed(directories: tuple[Path, Path], kind: str) -> None:
    events, inbox = directories
    events.rmdir()
    events.symlink_to("/etc") if kind == "link" else os.mkfifo(events)
    with pytest.raises(OSError, match=r"events|Not a directory|symbolic"):
        collect(events, inbox)
    assert not events.is_symlink()
    assert not events.exists()


def test_a_directory_that_is_a_link_is_refused(directories: tuple[Path, Path], tmp_path: Path) -> None:
    events, inbox = directories
    write(events, "1.json")
    (tmp_path / "link").symlink_to(inbox)
    with pytest.raises(OSError, match="link"):
        collect(events, tmp_path / "link")
    assert waiting(events) == ["1.json"]


def test_what_is_no_event_is_said_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.json").write_bytes(b"[]")
    write(tmp_path, "2.json")
    (tmp_path / "3.json").symlink_to("2.json")
    os.mkfifo(tmp_path / "4.json")
    names = ["1.json", "2.json", "3.json", "4.json", "gone.json"]
    assert [event.key for event in read(tmp_path, names, NOW)] == ["service.x"]
    assert [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "'1.json'",
        "'3.json'",
        "'4.json'",
        "'gone.json'",
    ]


def test_a_file_without_end_is_no_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "1.json", message="x" * 100_000)
    assert read(tmp_path, ["1.json"], NOW) == []
    assert "larger than" in capsys.readouterr().err
