# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PYTHONPATH=tools python -m dashboard"""

from pathlib import Path

from .board import made

(Path(__file__).resolve().parents[2] / "docs" / "dashboard.json").write_text(made(), encoding="utf-8")
