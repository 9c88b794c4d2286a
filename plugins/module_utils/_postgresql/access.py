# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have in a server's files: pg_hba.conf, pg_ident.conf, and what ALTER SYSTEM keeps.

A service's lines stand between two marks. Debian's that let everybody in, foreign ones of a service's map and what was
set over a declared setting are taken out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable

_CATCH_ALL = re.compile(
    r"^(local\s+all\s+all\s+peer|host\s+all\s+all\s+(127\.0\.0\.1/32|::1/128)\s+scram-sha-256)[ \t]*\n", re.MULTILINE
)

_CLIENT = "{client}"
_ALTERED = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_.$]*)\s*=\s*'((?:[^'\n]|'')*)'\s*\n?", re.MULTILINE)


def for_each_client(lines: str, addresses: Iterable[str]) -> str:
    """Return the lines, of which those with {client} beside each other are there for one address after the other."""
    networks = [f"{one}/{128 if ':' in one else 32}" for one in sorted(dict.fromkeys(addresses), key=str.lower)]
    found: list[str] = []
    for is_of_clients, block in itertools.groupby(lines.splitlines(), lambda line: _CLIENT in line):
        given = [*block]
        found += [line.replace(_CLIENT, network) for network in networks for line in given] if is_of_clients else given
    return "\n".join(found)


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


def without_map(text: str, name: str, marker: str) -> str:
    """The text of pg_ident.conf without lines of this map outside of the block, which let others in as the service."""
    foreign = re.compile(rf'^[ \t]*(?:{re.escape(name)}|"{re.escape(name)}")[ \t].*\n?', re.MULTILINE)
    block = _block(marker).search(text)
    begin, end = block.span() if block else (len(text), len(text))
    return foreign.sub("", text[:begin]) + text[begin:end] + foreign.sub("", text[end:])


def altered_settings(text: str) -> dict[str, str]:
    """The settings of postgresql.auto.conf, which has one in a line."""
    return {found[1].lower(): found[2].replace("''", "'") for found in _ALTERED.finditer(text)}


def without_settings(text: str, names: Collection[str]) -> str:
    """The text without these."""
    return _ALTERED.sub(lambda found: "" if found[1].lower() in names else found[0], text)


def _marks(marker: str) -> tuple[str, str]:
    return marker.format(mark="BEGIN"), marker.format(mark="END")


def _block(marker: str) -> re.Pattern[str]:
    begin, end = (re.escape(mark) for mark in _marks(marker))
    return re.compile(rf"^{begin}\n(?:.*\n)*?{end}\n?", re.MULTILINE)
