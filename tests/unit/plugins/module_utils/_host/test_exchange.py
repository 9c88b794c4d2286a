# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two directories that take each other's name."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.exchange import exchange


def test_each_has_the_others_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "below" / "other"
    for place in (one, other):
        place.mkdir(parents=True)
        (place / "was").write_text(place.name, encoding="utf-8")
    exchange(one, other)
    assert (one / "was").read_text(encoding="utf-8") == "other"
    assert (other / "was").read_text(encoding="utf-8") == "one"


def test_where_one_is_missing_nothing_changes(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    with pytest.raises(OSError, match="No such file") as raised:
        exchange(one, tmp_path / "none")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOENT, str(one))
    assert list(tmp_path.iterdir()) == [one]
