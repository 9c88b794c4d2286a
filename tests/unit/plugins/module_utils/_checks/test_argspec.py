# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.argspec import levels_of, threshold_options
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import Thresholds
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError


def test_thresholds_are_two_options_each() -> None:
    options = threshold_options(heap=(80, 95), rss=(85, 95))
    params = {name: option["default"] for name, option in options.items()}
    assert params == {"heap_warning": 80, "heap_critical": 95, "rss_warning": 85, "rss_critical": 95}
    assert levels_of(params, "heap") == {"heap": {"warning": 80, "critical": 95}}


def test_thresholds_that_contradict_each_other_are_named() -> None:
    levels = levels_of({"heap_warning": 99, "heap_critical": 95}, "heap")
    with pytest.raises(StabilityError, match=r"^heap: the warning threshold \(99\)"):
        Thresholds.of(levels, "heap")
