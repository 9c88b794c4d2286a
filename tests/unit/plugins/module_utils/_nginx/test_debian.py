# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._nginx.debian import announced


def test_a_reload_is_announced_and_the_announcement_ends_with_it(tmp_path: Path) -> None:
    closing = tmp_path / "closing"
    with announced(closing, 0.01, lambda: True):
        assert closing.exists()
    assert not closing.exists()
    with announced(closing, 0, lambda: True):
        assert not closing.exists()


def test_an_announcement_waits_no_longer_than_somebody_is_connected(tmp_path: Path) -> None:
    closing, connected = tmp_path / "closing", iter([True, True, False])
    seen = []

    def is_connected() -> bool:
        seen.append(closing.exists())
        return next(connected)

    with announced(closing, 600, is_connected):
        assert closing.exists()
    assert seen == [True] * 3
