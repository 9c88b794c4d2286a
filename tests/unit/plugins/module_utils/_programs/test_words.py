# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.diagnose.cli import CHECKS as DIAGNOSED
from ansible_collections.workbot.stability.plugins.module_utils._programs.words import (
    CHECKS,
    check_name,
    duration,
    words_of,
)


def test_each_check_of_the_diagnosis_has_a_chinese_name() -> None:
    assert set(DIAGNOSED) <= set(CHECKS)


def test_a_check_is_named_by_what_stands_before_the_dot() -> None:
    assert check_name("disk./srv", "zh") == "磁盘./srv"
    assert check_name("disk./srv", "en") == "disk./srv"
    assert check_name("kitchen", "zh") == "kitchen"


def test_a_code_that_is_not_known_has_no_words() -> None:
    assert words_of("daemon_dead", "en") == ("PM2's daemon is dead", "Recovery starts it, and the service with it.")
    assert words_of("kitchen", "en") is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s"), (0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds, "en") == shown
