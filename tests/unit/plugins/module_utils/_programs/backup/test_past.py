# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which timeline a server was that has been replaced, and put back."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.state import Past, Replacement

# Replaced at 100 by a server that began timeline 2, which went at 200 for the first one again.
PAST = Past((Replacement(100.0, 1), Replacement(200.0, 2)))


@pytest.mark.parametrize(("when", "timeline"), [(50.0, 1), (150.0, 2), (250.0, None)])
def test_a_time_is_on_the_timeline_of_then(when: float, timeline: int | None) -> None:
    assert PAST.timeline(when) == timeline


def test_one_that_was_never_replaced_has_no_other() -> None:
    assert Past().timeline(50.0) is None
