# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command of the file backups takes."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.cli import parse
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restoring import below

SHARED = "/srv/shop/shared"


@pytest.mark.parametrize("path", ["uploads/a.txt", "./uploads/a.txt", f"{SHARED}/uploads/a.txt", "uploads/a.txt/"])
def test_a_path_is_one_below_the_shared_directory(path: str) -> None:
    assert below(parse(["restore", path], "/etc/x.json").path, SHARED) == "uploads/a.txt"


@pytest.mark.parametrize("arguments", [[], [SHARED], ["./"]])
def test_without_a_path_it_is_all(arguments: list[str]) -> None:
    assert below(parse(["restore", *arguments], "/etc/x.json").path, SHARED) == ""


def test_what_follows_restic_is_its_own() -> None:
    words = ["--json", "forget", "-h", "--keep-last=3", "x"]
    assert parse(["restic", *words], "/etc/x.json").words == words
