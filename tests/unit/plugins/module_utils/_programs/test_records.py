# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import enum
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.records import (
    decode,
    load,
    load_or_new,
    read_status,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.model import Problem


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Part:
    size: float
    end: float | None = None
    value: float | int | str | None = None


@dataclasses.dataclass(frozen=True)
class Whole:
    name: str
    path: Path
    colour: Colour
    parts: Mapping[str, Part]
    anything: dict[str, Any] = dataclasses.field(default_factory=dict)
    numbers: tuple[int, ...] = ()
    part: Part | None = None


@dataclasses.dataclass(frozen=True)
class Counted:
    count: int = 0


WHOLE = Whole(
    "a",
    Path("/b"),
    Colour.RED,
    {"x": Part(1.5, 2.0, "text"), "y": Part(3.0)},
    {"d": [None, {"e": 1}]},
    (1, 2),
    Part(4.0, value=5),
)
LEAST = {"name": "a", "path": "/b", "colour": "red", "parts": {}, "anything": {}}


def test_what_was_written_is_read() -> None:
    written = json.loads(json.dumps({**dataclasses.asdict(WHOLE), "path": "/b"}))
    assert decode(Whole, written) == WHOLE


def test_what_has_a_default_may_be_missing_and_what_is_unknown_is_left_out() -> None:
    assert decode(Whole, {**LEAST, "of_a_later_version": 1}) == Whole("a", Path("/b"), Colour.RED, {})


@pytest.mark.parametrize(
    "content",
    [
        *(None, [], "text", {}),
        {"name": "a", "path": "/b", "colour": "red", "parts": {}},
        {**LEAST, "colour": "blue"},
        {**LEAST, "parts": []},
        {**LEAST, "parts": {"x": {"size": "large"}}},
        {**LEAST, "parts": {"x": {"size": 10**400}}},
        {**LEAST, "parts": {"x": {"size": 1, "value": []}}},
        {**LEAST, "numbers": "12"},
        {**LEAST, "part": 1},
    ],
)
def test_what_is_something_else_is_refused(content: Any) -> None:
    with pytest.raises(ValueError, match=r"Error: "):
        decode(Whole, content)


@pytest.mark.parametrize("content", ["", "[" * 100_000, "{}"])
def test_a_file_that_holds_something_else_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(FileNotFoundError):
        load(Part, path, 200_000)
    path.write_text(content)
    with pytest.raises(ValueError):
        load(Part, path, 200_000)


def test_what_is_damaged_is_as_new(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert load_or_new(Counted, path, 200) == Counted()
    path.write_text('{"count": 3}')
    assert load_or_new(Counted, path, 200) == Counted(3)
    for content in ('{"count": []}', " " * 201):
        path.write_text(content)
        assert load_or_new(Counted, path, 200) == Counted()


def test_the_status_and_its_age(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert read_status(path) == (0, {})
    path.write_text('{"problems": []}', encoding="utf-8")
    os.utime(path, ns=(5, 7))
    assert read_status(path) == (7, {"problems": []})
    for content in ("{", "[]", "[" * 100_000):
        path.write_text(content, encoding="utf-8")
        os.utime(path, ns=(5, 9))
        assert read_status(path) == (9, {})
    os.truncate(path, 2 * 1024 * 1024)
    assert read_status(path) == (0, {})
    for make in (os.mkfifo, os.mkdir, lambda name: name.symlink_to("/proc/self/status")):
        path.unlink(missing_ok=True)
        make(path)
        assert read_status(path) == (0, {})
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_code_of_another_version_stays_what_it_is() -> None:
    problem = Problem("x", Code.FINDING, "warning", "")
    assert decode(Problem, dataclasses.asdict(problem)) == problem
    assert decode(Problem, {**dataclasses.asdict(problem), "code": "of_another_version"}).code == "of_another_version"
