# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variable is meant by a name that no role and no playbook has.

Foreign names are the most of an inventory, so only one slip counts in the prefix and one in the rest: a letter that is
missing, added or another one, or two that are exchanged. Case and underscores make no difference.
"""

from __future__ import annotations

import difflib
import typing as t

# Prefixes that stand elsewhere for what a role is about, behind which the rest is to be right.
_ALIASES = {"alert": "alerting", "node": "nodejs", "pg": "postgresql", "postgres": "postgresql"}
# What is often asked for by a name of another tool or of no tool, and has one here that resembles it too little.
_ELSEWHERE = {
    "certbot_email": "nginx_acme_email",
    "nginx_domain": "nginx_server_names",
    "service_domain": "nginx_server_names",
    "service_port": "pm2_listen_port",
}
_SHORT = 4  # of shorter words a slip makes other words
_NEAR = 0.8  # of the rest of a name whose prefix is right, as difflib measures it


class Names:
    """The names of variables, each of which begins with one of the prefixes."""

    def __init__(self, names: t.Iterable[str]) -> None:
        self.names = set(names)
        self._rests: dict[str, dict[str, str]] = {}
        for name in sorted(self.names):
            prefix, _underscore, rest = name.partition("_")
            self._rests.setdefault(prefix, {})[_folded(rest)] = name

    def meant(self, name: str) -> str:
        """Return the variable that ``name`` is a slip of, empty where there is none."""
        if name.startswith(("_", "ansible_")):
            return ""
        if _ELSEWHERE.get(name) in self.names:
            return _ELSEWHERE[name]
        folded = _folded(name)
        found = [self._in(prefix, folded[len(head) :]) for head, prefix in _ALIASES.items() if folded.startswith(head)]
        for prefix in self._rests:
            ends = [len(prefix) + more for more in (0, -1, 1)] if prefix[0] == folded[:1] else []
            found += [self._in(prefix, folded[end:]) for end in ends if _is_near(folded[:end], prefix)]
        return next(filter(None, found), "")

    def nearest(self, name: str) -> str:
        """Return the variable that ``name``, whose prefix is right, resembles; empty where that helps nobody."""
        prefix, _underscore, rest = name.partition("_")
        rests = self._rests.get(prefix, {})
        short = [right for right in rests.values() if _abbreviates(name, right)]
        near = [rests[found] for found in difflib.get_close_matches(_folded(rest), rests, 1, _NEAR)]
        return self.meant(name) or [*short, *near, ""][0]

    def _in(self, prefix: str, rest: str) -> str:
        """Return the variable of this prefix whose rest is this one, or nearly."""
        rests = self._rests.get(prefix, {})
        return rests.get(rest) or next((rests[right] for right in rests if _is_near(rest, right)), "")


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _abbreviates(name: str, right: str) -> bool:
    words, whole = name.split("_"), right.split("_")
    return len(words) == len(whole) and all(map(str.startswith, whole, words))


def _is_near(one: str, other: str) -> bool:
    """Whether they are the same, or a single slip of a hand makes the one of the other."""
    if one == other:
        return True
    if max(len(one), len(other)) < _SHORT:
        return False
    while one[:1] == other[:1] != "":
        one, other = one[1:], other[1:]
    while one[-1:] == other[-1:] != "":
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) == 1 or (len(one) == len("ab") and one == other[::-1])
