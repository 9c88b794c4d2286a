# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the programs on the host print: for people, or what is wrong, for the journal.

File names, SQL texts and lines of logs are others' words, and root's terminal would obey what is in them.
"""

from __future__ import annotations

import sys


def visible(text: str) -> str:
    """One line in which what a terminal would obey, or not show, is an escape, as \\x1b, \\n or \\u202e."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def answer(*lines: str) -> None:
    sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))


def complain(text: object) -> None:
    sys.stderr.write("".join(f"{visible(line)}\n" for line in str(text).split("\n")))
