# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which activation is active: the one whose socket the link `active.sock` leads to."""

from __future__ import annotations

from pathlib import Path


def active_activation(active_socket: str | Path) -> str | None:
    """Its name, `<release>` or `<release>+<number>`; None when none is active."""
    try:
        return Path(Path(active_socket).readlink()).stem or None
    except OSError:
        return None
