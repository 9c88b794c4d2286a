# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the alerting command prints: for people, or what is wrong, for the journal."""

from __future__ import annotations

import sys


def answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def complain(text: object) -> None:
    sys.stderr.write(f"{text}\n")
