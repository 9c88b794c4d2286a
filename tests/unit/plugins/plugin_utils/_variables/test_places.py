# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a variable's path on the controller is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.places import controller_path


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("inventory/both", "work/both", "work/only"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", "/home/me")
    return tmp_path / "inventory"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("both", "inventory/both"),
        ("only", "work/only"),
        ("../work/only", "inventory/../work/only"),
        ("none", "inventory/none"),
        ("/srv/app", "/srv/app"),
        ("~/app", "/home/me/app"),
        ("~nobody-has-this-name/app", "inventory/~nobody-has-this-name/app"),
    ],
)
def test_a_relative_path_is_the_inventorys_or_the_working_directorys(inventory: Path, path: str, expected: str) -> None:
    assert controller_path(path, str(inventory)) == str(inventory.parent / expected)


@pytest.mark.parametrize("directory", ["", None])
def test_without_an_inventory_in_a_file_it_is_the_working_directory(inventory: Path, directory: str | None) -> None:
    assert controller_path("both", directory) == str(inventory.parent / "work/both")
    assert controller_path("", directory) == ""
