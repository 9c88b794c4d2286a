# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._service.deployments import (
    FAILED,
    SUCCEEDED,
    Deployed,
    note,
    read,
)

ONE = Deployed(1764100000.5, 12.5, "3fa9", "3fa9@2", SUCCEEDED)


def test_the_last_hundred_are_kept_and_all_may_read_them(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    for number in range(120):
        note(tmp_path, replace(ONE, time=float(number), result=FAILED if number % 2 else SUCCEEDED))
    found = read(tmp_path)
    assert [one.time for one in found] == list(range(20, 120))
    assert found[-1] == Deployed(119.0, 12.5, "3fa9", "3fa9@2", FAILED)
    assert (tmp_path / ".deploy.history").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", ["{", "[1]", '[{"time": 1}]', '{"time": 1}', "[" * 100_000, '[{"time": 1e999}]'])
def test_what_is_no_record_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / ".deploy.history").write_text(content)
    assert read(tmp_path) == []
    note(tmp_path, ONE)
    assert read(tmp_path) == [ONE]


def test_what_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    note(tmp_path, ONE)
    (tmp_path / "here").mkdir()
    (tmp_path / "here/.deploy.history").symlink_to(tmp_path / ".deploy.history")
    assert read(tmp_path / "here") == []
    (tmp_path / "there").mkdir()
    os.mkfifo(tmp_path / "there/.deploy.history")
    assert read(tmp_path / "there") == []
