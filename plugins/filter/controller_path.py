# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``controller_path``."""

from __future__ import annotations

import typing as t

from ansible_collections.workbot.stability.plugins.plugin_utils._variables.places import controller_path


class FilterModule:
    """Registers the filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"controller_path": controller_path}
