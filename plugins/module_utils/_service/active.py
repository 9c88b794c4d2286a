# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which activation is active: the one whose sockets the link `active` leads to."""

from __future__ import annotations

from pathlib import Path


def active_activation(link: str | Path) -> str | None:
    """Its name, `<release>` or `<release>+<number>`; None when none is active."""
    try:
        return Path(link).readlink().name or None
    except OSError:
        return None


def worker_socket(link: str | Path, instance: int) -> Path:
    """The socket of one worker of the active activation, by its number among the instances, from 0 on."""
    return Path(link) / f"{instance}.sock"
