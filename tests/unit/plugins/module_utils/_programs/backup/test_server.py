# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was restored goes as a whole: to where it is removed, or to the place of the running server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup import beside
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.beside import Beside
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.server import Restored
from backup_repository import settings_below


@pytest.fixture
def restored(tmp_path: Path) -> Restored:
    """With what is left of a removal that was killed."""
    found = Restored(settings_below(tmp_path), tmp_path / "restored")
    for directory in (found.data, found.removing / "data"):
        directory.mkdir(parents=True)
    return found


def test_what_is_being_removed_nobody_takes_for_a_server(
    restored: Restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`replace` renames it in the same moment, or does not find it."""
    remove = shutil.rmtree

    def rmtree(path: Path) -> None:
        assert path != restored.home
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    restored.remove()
    assert [*tmp_path.iterdir()] == []
    restored.remove()


def test_what_another_one_has_taken_is_left_to_it(restored: Restored, tmp_path: Path) -> None:
    restored.home.rename(tmp_path / "replaced")
    restored.remove()
    assert [*tmp_path.rglob("*")] == [tmp_path / "replaced", tmp_path / "replaced/data"]


@pytest.mark.parametrize("stays", [False, True])
def test_the_end_of_its_unit_removes_it_in_the_same_way(
    restored: Restored, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr(beside, "runs", lambda _unit: False)
    monkeypatch.setattr(beside, "call", lambda *argv: said.extend(argv))
    for step in ("_archive_now", "_wait"):
        monkeypatch.setattr(Beside, step, lambda _self: "")
    Beside(settings_below(restored.home.parent)).restore(None)
    script = next(each for each in said if "ExecStopPost" in each).partition('-c "')[2].removesuffix('"')
    if stays:
        restored.stays.touch()
    for _time in range(2):
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert (restored.home.exists(), restored.removing.exists()) == (stays, False)
    assert "rm -rf " + str(restored.home) + ";" not in script
