# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that ``node --env-file`` reads: written so that Node reads back exactly what was meant, and parsed.

Node's syntax has no escapes: a value stands between ', ` or " and ends at the next such quote; only "..." turns
the two characters backslash and n into a line break, and carriage returns are dropped everywhere. So the writer chooses
a quote that the value does not hold, and a value that no quote can hold is refused.
Measured against Node 24 and 26; tests/unit/fixtures/dotenv_node.json holds what they read.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

from .._host.errors import StabilityError
from .._host.service_tree import read as read_file

LARGEST = 1 << 20
"""Bytes. The service's user, whose file it is, may have made anything of it."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A value that is its own text: no quote, space or comment sign that Node could take for syntax.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~^*!;()\[\]{}|<>-]+")
_QUOTES = "'`\""
# A name, and its value up to the next quote of the kind that it begins with, else to the end of the line or a comment.
_ASSIGNMENT = re.compile(
    rf"""^(?:export\ )?({NAME.pattern})= (?: ([{_QUOTES}])(?s:(.*?))\2.* | ([^#\n]*).* )""", re.MULTILINE | re.VERBOSE
)


class DotenvError(StabilityError):
    """A name or value that the file can't hold. The message never has the value."""


def quote(name: str, value: str) -> str:
    """Return ``value`` as it is written behind ``name=``; raise DotenvError where no way of writing it is read back."""
    if "\0" in value or "\r" in value:
        raise DotenvError(f"{name} holds a NUL or a carriage return, which an environment file can't carry")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise DotenvError(f"{name} is not valid Unicode") from None
    if _PLAIN.fullmatch(value):
        return value
    for mark in _QUOTES:
        if mark not in value and not (mark == '"' and "\\n" in value):
            return f"{mark}{value}{mark}"
    # Between " a backslash before n would be read as a line break, so that counts as one more quote.
    raise DotenvError(f"{name} holds all of ', ` and \", so that no quote is left to write it in")


def dump(environment: t.Mapping[str, str]) -> str:
    """Return the lines ``NAME=value``, sorted by name; raise DotenvError for what can't be written."""
    lines = []
    for name in sorted(environment):
        if not NAME.fullmatch(name):
            raise DotenvError(f"{name!r} is no environment name: letters, digits and _, not beginning with a digit")
        lines.append(f"{name}={quote(name, environment[name])}\n")
    return "".join(lines)


def parse(text: str) -> dict[str, str]:
    """Return the variables of a file as Node reads it; lines that are no assignment are passed over."""
    environment: dict[str, str] = {}
    for name, mark, quoted, plain in _ASSIGNMENT.findall(text.replace("\r", "")):
        value = quoted if mark else plain.strip()
        environment[name] = value.replace("\\n", "\n") if mark == '"' else value
    return environment


def read(path: str | Path | None) -> dict[str, str]:
    """Return the variables of the file at ``path``; none where there is no file (yet).

    Raises OSError, also for what is no regular file or larger than any environment.
    """
    if not path or not Path(path).exists():
        return {}
    return parse(read_file(path, LARGEST).decode("utf-8", "replace"))
