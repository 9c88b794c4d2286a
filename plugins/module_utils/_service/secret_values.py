# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a secret no secret. No message of this file ever has a value in it."""

from __future__ import annotations

import itertools
import json
import math
import re
import typing as t
from collections import Counter
from urllib.parse import unquote

from .dotenv import NAME, DotenvError, quote

# Each release sets PORT to its own socket; NODE_ENV follows service_mode, which more than this name depends on.
_OWN_NAMES = {
    "NODE_ENV": "set service_mode instead: the pool sizes follow it too",
    "PORT": "each release listens on a socket of its own, which this collection chooses",
    **dict.fromkeys(
        ("HOME", "LANG", "PATH"), "PM2 has it for all processes, and node --env-file changes nothing that is set"
    ),
}
# What no secret is: hidden wherever it occurs, `production` would make a message unreadable.
_PLAIN_NAMES = {*_OWN_NAMES, "HOST", "LOG_LEVEL", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "PGHOST", "PGSSLMODE", "TZ"}
_HIDDEN = "********"
_LEAST_HIDDEN = 8  # characters: a shorter text, hidden wherever it occurs, would make a message unreadable
_LEAST_PASSWORD = 4  # the password inside an address is a secret for certain
_LEAST_DIFFERENT = 4  # characters of a secret that must not be the same
# Around a key in PEM: no secret, and the same in everybody's.
_FRAME = re.compile(r"-+ ?(BEGIN|END) ")
# A key is often written in one line, with \n for the ends of its lines, which the program makes of it.
_LINE_END = re.compile(r"\\n|\n")
_PLACEHOLDER = re.compile(
    r"change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|it)|^<.*>$|^(your|my)[-_ ]|placeholder|\bexample\b|^x{3,}"
    r"|^(secret|password|passwd|test|todo|tbd|none|null|undefined|default|dummy|foobar|admin)[-_ 0-9!.]*$",
    re.IGNORECASE,
)


def weakness(value: str, min_length: int = 1) -> str | None:
    """Return why ``value`` can't be taken for a secret, or None. The length is in characters."""
    if not value:
        return "is empty"
    if _PLACEHOLDER.search(value) or re.search(r"(secret|password|key|token)[-_ ]?(here|goes)", value, re.IGNORECASE):
        return "is a placeholder, not a secret"
    if len(set(value)) < min(_LEAST_DIFFERENT, len(value)):
        return "repeats the same few characters"
    if len(value) < min_length:
        return f"has {len(value)} characters, at least {min_length} are needed"
    return None


def strength(value: str) -> float:
    """Return how many bits ``value`` holds at most: by how its characters, and the steps between them, are spread.

    A block that is repeated counts once, and a sequence such as abcdef or 13579 has the same step all the way.
    """
    block = next(value[:size] for size in range(1, len(value) + 1) if value[size:] == value[:-size]) if value else ""
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(block)]
    return len(block) * min(_spread(block), _spread(steps))


def _spread(items: t.Sequence[t.Hashable]) -> float:
    """Shannon's entropy of one item, in bits."""
    total = len(items)
    return -sum(count / total * math.log2(count / total) for count in Counter(items).values())


def texts_to_hide(environment: t.Mapping[str, str]) -> set[str]:
    """Return what of an environment must not be shown: longer values, and the passwords inside of addresses.

    What a program writes is looked at line by line, and may have lost its beginning: each line of a value counts by
    itself. Each text is there as it is and as JSON has it.
    """
    texts = set()
    for name, value in environment.items():
        if name not in _PLAIN_NAMES:
            texts |= {text for text in (value, *_lines(value)) if len(text) >= _LEAST_HIDDEN}
        if (password := password_in(value)) is not None:
            texts |= {text for text in (password, unquote(password)) if len(text) >= _LEAST_PASSWORD}
    return {form for text in texts for form in _forms(text)}


def _lines(value: str) -> list[str]:
    """Return the lines of a value, without those that say where a key begins and ends."""
    lines = [line.strip() for line in _LINE_END.split(value)]
    return [line for line in lines if not _FRAME.match(line)]


def _forms(text: str) -> set[str]:
    """Return the text as programs write it: itself, and inside of JSON, as JavaScript and as Python make it."""
    return {text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]}


def password_in(value: str) -> str | None:
    """Return the password inside an address, as it is written there."""
    match = re.match(r"[a-z][a-z0-9+.-]*://[^:/@]*:([^@]*)@", value, re.IGNORECASE)
    return match[1] if match else None


def hide(text: str, secrets: t.Collection[str]) -> str:
    """Return ``text`` with the secrets in it replaced, longer ones first: one may be part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def secret_problems(
    secrets: t.Mapping[str, t.Any], required: t.Sequence[str], min_length: int
) -> list[tuple[str, str]]:
    """Return (name, what is wrong) for each required secret that is missing or weak."""
    problems = []
    for name in required:
        if name not in secrets:
            problems.append((name, "is missing: service_required_secrets asks for it"))
        elif reason := weakness(str(secrets[name] or ""), min_length):
            problems.append((name, reason))
    return problems


def environment_problems(variables: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """Return (name, what is wrong) for each variable that an environment can't hold or that is not to be set."""
    problems = []
    for name, value in variables.items():
        if not NAME.fullmatch(str(name)):
            problems.append((str(name), "is no environment name: letters, digits and _, not beginning with a digit"))
        elif name in _OWN_NAMES:
            problems.append((name, f"is not to be set here: {_OWN_NAMES[name]}"))
        elif (text := environment_text(value)) is None:
            problems.append((name, "is not text, a number or a boolean"))
        else:
            try:
                quote(name, text)
            except DotenvError as error:
                problems.append((name, str(error).removeprefix(f"{name} ")))
    return problems


def environment_text(value: t.Any) -> str | None:
    """Return ``value`` as an environment has it, true and false in JavaScript's words, or None if it has no form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None
