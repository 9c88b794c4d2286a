# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.modules.trust_store import outdated


def written(path: Path, at: int) -> Path:
    path.write_text("")
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(("bundle", "added", "expected"), [(200, 100, False), (100, 100, False), (100, 200, True)])
def test_a_bundle_older_than_what_was_added_is_outdated(
    tmp_path: Path, bundle: int, added: int, expected: bool
) -> None:
    assert outdated(written(tmp_path / "bundle", bundle), written(tmp_path / "added", added)) is expected


def test_a_host_without_a_bundle_needs_one(tmp_path: Path) -> None:
    assert outdated(tmp_path / "bundle", written(tmp_path / "added", 100))
