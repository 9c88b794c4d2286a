# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one number of nginx.conf that sites ask for: worker_connections, which nginx takes from nowhere else.

It is raised, never lowered, and what the host had stands beside it: the last site that asks puts it back.
"""

from __future__ import annotations

import re

MAIN = "nginx.conf"
DIRECTIVE = "worker_connections"

_NOTE = " # the host had "
_LINE = re.compile(
    r"^(?P<head>[^#\n]*\bworker_connections\s+)(?P<number>[0-9]+)(?P<tail>\s*;)"
    rf"(?:{_NOTE}(?P<had>[0-9]+))?(?P<rest>[^\n]*)",
    re.MULTILINE,
)


def connections(text: str) -> int:
    """What that nginx.conf says; 0 where it does not say."""
    found = _LINE.search(text)
    return int(found["number"]) if found else 0


def raised(text: str, desired: int) -> str:
    """That nginx.conf with as many connections, at least those that the host had."""

    def line(found: re.Match[str]) -> str:
        had = int(found["had"] or found["number"])
        number, note = (desired, f"{_NOTE}{had}") if desired > had else (had, "")
        # what stands behind it on the line would be a part of the note
        end = "\n" if note and found["rest"].strip() else ""
        return f"{found['head']}{number}{found['tail']}{note}{end}{found['rest']}"

    return _LINE.sub(line, text, count=1)
