# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._alert_inbox import (
    EventError,
    collect,
    parse,
    read,
    remove,
    waiting,
)

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
    assert [event.key for event in read(inbox, waiting(inbox))] == ["service.a", "service.b"]
    remove(inbox, [*waiting(inbox), "gone.json"])
    assert waiting(inbox) == []


def test_no_link_leads_root_or_the_reader_to_others_files(directories: tuple[Path, Path], tmp_path: Path) -> None:
    events, inbox = directories
    secret = write(tmp_path, "secret.json")
    (events / "1.json").symlink_to(secret)
    os.link(secret, events / "2.json")
    os.mkfifo(events / "3.json")
    (events / "4.json").mkdir()
    assert collect(events, inbox) == 4
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [event.key for event in read(inbox, ["1.json", "3.json", "4.json"])] == []
    remove(inbox, waiting(inbox))
    assert waiting(inbox) == []
    assert secret.exists()


def test_a_directory_that_is_a_link_is_refused(directories: tuple[Path, Path], tmp_path: Path) -> None:
    events, inbox = directories
    write(events, "1.json")
    (tmp_path / "link").symlink_to(inbox)
    with pytest.raises(OSError, match="link"):
        collect(events, tmp_path / "link")
    assert waiting(events) == ["1.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (json.dumps({**EVENT, "kind": "x"}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "severity": "bad"}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "severity": []}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "message": 5}).encode(), "lacks a kind"),
        (json.dumps({**EVENT, "time": "now"}).encode(), "time"),
        (json.dumps({**EVENT, "time": float("nan")}).encode(), "time"),
        (json.dumps({**EVENT, "key": ""}).encode(), "lacks a key"),
        (json.dumps({**EVENT, "values": [1]}).encode(), "values"),
    ],
)
def test_what_is_no_event_is_said_and_left_out(
    content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EventError, match=why):
        parse(content)
    (tmp_path / "1.json").write_bytes(content)
    write(tmp_path, "2.json")
    assert [event.key for event in read(tmp_path, ["1.json", "2.json"])] == ["service.x"]
    assert "1.json" in capsys.readouterr().err


def test_a_file_without_end_is_no_event(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "1.json", message="x" * 100_000)
    assert read(tmp_path, ["1.json"]) == []
    assert "larger than" in capsys.readouterr().err
