# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part of module canary_analysis: a release that was not watched to the end has not proved itself."""

from __future__ import annotations

from ..plugin_utils.actions import Action


class ActionModule(Action):
    """Options are documented in plugins/modules/canary_analysis.py."""

    lost = "The connection to the canary was lost while it was watched"
