# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release is refused that the host has no memory for."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.preconditions import require_memory


def test_memory_for_both_at_once_and_for_another_pm2() -> None:
    require_memory(2, [300, 250], 670)
    require_memory(2, [], 270)
    with pytest.raises(ActivationError, match=r"2 x 300 MB .* and 70 MB for PM2 = 670 MB, and 669 MB are available"):
        require_memory(2, [300, 250], 669)
    with pytest.raises(ActivationError, match="2 x 100 MB"):
        require_memory(2, [40], 269)
