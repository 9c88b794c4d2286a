# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small JSON file that others may have replaced: odd numbers and what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.small_file import read_json


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"a": [1, -2.5, null, "\\u4e2d"]}', {"a": [1, -2.5, None, "中"]}),
        ("-9007199254740992", -(2**53)),
        ("1.5e3", 1500.0),
    ],
)
def test_what_is_usual_is_read(tmp_path: Path, text: str, content: object) -> None:
    (tmp_path / "file").write_text(text)
    assert read_json(tmp_path / "file", 1000) == content


@pytest.mark.parametrize(
    "text",
    [
        *("1e999", "-1e999", "NaN", "[Infinity]", '{"a": -Infinity}', "1e17", "9007199254740993", "-" + "9" * 5000),
        *("", "{", "\udcff", '{"a": 1} and more', '"' + "x" * 1000 + '"'),
    ],
)
def test_what_is_odd_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match=r"."):
        read_json(tmp_path / "file", 1000)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("fifo", "link", ""):
        with pytest.raises(ValueError, match=r"not a regular file|symbolic links"):
            read_json(tmp_path / name, 1000)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "missing", 1000)
