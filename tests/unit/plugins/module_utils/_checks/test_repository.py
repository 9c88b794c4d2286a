# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a repository has backups, before anything can read it; the scenario backup has real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.repository import in_directory, require_backups
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


@pytest.mark.parametrize(
    ("name", "is_there"), [("20261203-051500F", True), ("backup.info", False), ("latest", False)], ids=str
)
def test_a_backups_name_begins_with_its_year(tmp_path: Path, name: str, is_there: bool) -> None:
    (tmp_path / name).mkdir()
    assert in_directory(f"{tmp_path}/20") == is_there


def test_of_repositories_that_take_turns_one_is_enough(tmp_path: Path) -> None:
    (tmp_path / "1" / "snapshots" / "4f7c").mkdir(parents=True)
    below = [f"{tmp_path}/{turn}/snapshots/" for turn in range(3)]
    require_backups(in_directory, "the files of shop", below)
    with pytest.raises(StabilityError, match=r"no backup of the files of shop: nothing is at .*/0/snapshots/\*"):
        require_backups(in_directory, "the files of shop", below[:1])
