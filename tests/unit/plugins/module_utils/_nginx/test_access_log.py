# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines come once each, whatever happens to the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._nginx import access_log
from ansible_collections.workbot.stability.plugins.module_utils._nginx.access_log import AccessLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_was_there_before_is_no_news_unless_it_is_asked_for(path: Path) -> None:
    append(path, "one\ntwo\n")
    assert list(AccessLog(path).lines()) == []
    assert list(AccessLog(path, history=6).lines()) == [b"two"]
    assert list(AccessLog(path, history=100).lines()) == [b"one", b"two"]


def test_a_line_comes_when_it_is_complete(path: Path) -> None:
    log = AccessLog(path)
    assert list(log.lines()) == []
    append(path, "one\ntw")
    assert list(log.lines()) == [b"one"]
    append(path, "o\n")
    assert list(log.lines()) == [b"two"]
    assert list(log.lines()) == []


def test_both_are_read_until_nginx_writes_to_the_new_one_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(path)
    list(log.lines())
    append(path, "one\n")
    assert list(log.lines()) == [b"one"]
    old = path.rename(path.with_suffix(".1"))
    append(path, "")
    append(old, "two\n")
    assert list(log.lines()) == [b"two"]
    append(path, "four\n")
    append(old, "three\n")
    assert sorted(log.lines()) == [b"four", b"three"]
    monkeypatch.setattr(access_log, "_SETTLED_SECONDS", -1)
    list(log.lines())
    append(old, "too late\n")
    append(path, "five\n")
    assert list(log.lines()) == [b"five"]


def test_a_file_that_is_emptied_in_its_place_is_read_from_its_beginning(path: Path) -> None:
    log = AccessLog(path)
    list(log.lines())
    append(path, "one\nhalf a li")
    assert list(log.lines()) == [b"one"]
    path.write_text("two\n")
    assert list(log.lines()) == [b"two"]


def test_a_line_without_an_end_takes_no_memory(path: Path) -> None:
    log = AccessLog(path)
    list(log.lines())
    append(path, "x" * 3 * (1 << 20))
    assert list(log.lines()) == []
    append(path, "end\nnext\n")
    assert list(log.lines()) == [b"end", b"next"]


def test_what_is_no_file_is_refused(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        list(AccessLog(path).lines())
