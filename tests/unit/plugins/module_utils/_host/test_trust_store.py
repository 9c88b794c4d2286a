# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import trust_store


def written(path: Path, at: int) -> Path:
    path.write_text("")
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize(
    ("bundle", "added", "expected"), [(200, 100, False), (100, 100, False), (100, 200, True), (None, 100, True)]
)
def test_a_bundle_that_is_missing_or_older_than_what_was_added_is_outdated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: int | None, added: int, expected: bool
) -> None:
    monkeypatch.setattr(trust_store, "_BUNDLE", tmp_path / "bundle")
    if bundle is not None:
        written(tmp_path / "bundle", bundle)
    assert trust_store.outdated(written(tmp_path / "added", added)) is expected
