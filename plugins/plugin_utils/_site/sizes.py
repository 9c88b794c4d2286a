# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as an inventory has them, a whole number with K, M or G: 512M."""

from __future__ import annotations

_BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3}


def in_bytes(size: str) -> int:
    """Return the size; 0 is written without a unit."""
    return 0 if size == "0" else int(size[:-1]) * _BYTES[size[-1]]


def megabytes(size: str) -> int:
    """Return the size, rounded up."""
    return -(-in_bytes(size) // _BYTES["M"])
