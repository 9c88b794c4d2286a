# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of one service in a server's pg_hba.conf and pg_ident.conf, and Debian's that let everybody in."""

from __future__ import annotations

import re

_CATCH_ALL = re.compile(
    r"^(local\s+all\s+all\s+peer|host\s+all\s+all\s+(127\.0\.0\.1/32|::1/128)\s+scram-sha-256)[ \t]*\n", re.MULTILINE
)


def with_block(text: str, marker: str, lines: str, *, first: bool) -> str:
    """The text with these lines between the two marks: where the marks are, else before all others or after them.

    Without lines there are no marks.
    """
    if not lines:
        return without_block(text, marker)
    begin, end = _marks(marker)
    block = f"{begin}\n{lines.rstrip()}\n{end}\n"
    if found := _block(marker).search(text):
        return text[: found.start()] + block + text[found.end() :]
    text = text and text.rstrip("\n") + "\n"
    return block + text if first else text + block


def without_block(text: str, marker: str) -> str:
    """The text without what is between the two marks. Half a block, of a run that was killed, is none."""
    return _block(marker).sub("", text)


def without_catch_all(text: str) -> str:
    """The text without Debian's lines that let every role into every database."""
    return _CATCH_ALL.sub("", text)


def _marks(marker: str) -> tuple[str, str]:
    return marker.format(mark="BEGIN"), marker.format(mark="END")


def _block(marker: str) -> re.Pattern[str]:
    begin, end = (re.escape(mark) for mark in _marks(marker))
    return re.compile(rf"^{begin}\n(?:.*\n)*?{end}\n?", re.MULTILINE)
