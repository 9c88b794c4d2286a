# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the checkout is, and what real programs said."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests/unit/fixtures"
