# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run ends with: what failed, why, what serves and what to type next; or where the service is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_HOSTS = 5
_MOST_LINES = 6
# Of other variables the value may be a secret.
_SHOWN = frozenset(
    [
        "deploy_canary",
        "deploy_serial",
        "deploy_unreachable",
        "release_directory",
        "release_git_ref",
        "release_id",
        "rollback_release",
    ]
)
# -e, alone or with others that take no value, and what may be behind it.
_EXTRA_VARIABLES = re.compile(r"(-[bCDhJKkv]*e|--ex[a-z-]*=?)(.*)", re.DOTALL)
# What the report of a fleet says of the same.
_TO_GO_ON, _TO_GO_BACK = "To go on", "To go back: "
# Ansible's own beginning of what is wrong in a playbook or an inventory.
_OF_ANSIBLE = "Task failed: "


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host, and was not ignored."""

    host: str
    task: str
    message: str
    serves: str = ""
    """What serves now, where the task knows it. The first line of its message is the cause then."""
    ends_run: bool = False
    """Whether it only says how a run ends that has failed before."""


def lines_of_failures(failures: Sequence[Failure], command: str) -> list[str]:
    """Return what failed on which hosts and why, what serves there, and the command to go on with."""
    causes = {failure.host: failure for failure in failures if not failure.ends_run}
    endings = [failure.message for failure in failures if failure.ends_run]
    lines = []
    for failure in list(causes.values())[:_MOST_HOSTS]:
        lines += [f"Failed on {failure.host}: {failure.task}", *_cause(failure)]
        if failure.serves and not endings:
            lines.append(failure.serves)
    if len(causes) > _MOST_HOSTS:
        lines.append(f"And on {len(causes) - _MOST_HOSTS} more.")
    for line in endings[-1].splitlines() if endings else ():
        if line.startswith(_TO_GO_BACK):
            lines += [_TO_GO_BACK.rstrip(), f"  {line.removeprefix(_TO_GO_BACK)}"]
        elif not line.startswith(_TO_GO_ON):
            lines.append(line)
    return [*lines, f"{_TO_GO_ON}, once the cause is repaired:", f"  {command}"]


def _cause(failure: Failure) -> list[str]:
    lines = [line for line in failure.message.removeprefix(_OF_ANSIBLE).splitlines() if line.strip()]
    if failure.serves:
        return lines[:1]
    return lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], "... (all of it is above)"]


def lines_of_success(ends: Mapping[str, Mapping[str, Any]], inventories: Iterable[str]) -> list[str]:
    """Return which release serves on which host and where, and the next commands. `ends` are tasks/closing.yml's."""
    shown = list(ends.items())[:_MOST_HOSTS]
    lines = [f"{host}: {said}" for host, end in shown for said in end["says"]]
    if len(ends) > _MOST_HOSTS:
        lines.append(f"And on {len(ends) - _MOST_HOSTS} more.")
    lines += dict.fromkeys(f"Address: {address_of(end)}" for _host, end in shown if end["name"])
    lines += [f"How it is: sudo {end['service']}-diagnose, on {host}" for host, end in shown[:1]]
    if any(end["previous"] for _host, end in shown):
        given = [word for inventory in inventories for word in ("-i", inventory)]
        lines += [_TO_GO_BACK.rstrip(), f"  {shlex.join(['ansible-playbook', *given, 'workbot.stability.rollback'])}"]
    return lines


def address_of(end: Mapping[str, Any]) -> str:
    """Return the address at which the host's Nginx answers for the service."""
    scheme, usual = ("https", 443) if end["tls"] else ("http", 80)
    return f"{scheme}://{end['name']}{'' if int(end['port']) == usual else ':' + str(end['port'])}/"


def same_command(argv: Sequence[str]) -> str:
    """Return what was typed, but for values of variables that may be secrets."""
    return " ".join([Path(argv[0]).name, *_words(argv[1:])])


def _words(arguments: Iterable[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        if option := _EXTRA_VARIABLES.fullmatch(word):
            yield option[1] + _variables(option[2]) if option[2] else f"{word} {_variables(next(words, ''))}"
        else:
            yield shlex.quote(word)


def _variables(given: str) -> str:
    if given.startswith("@"):
        return shlex.quote(given)
    try:
        pairs = [pair.partition("=") for pair in shlex.split(given)]
    except ValueError:
        return "..."
    if not all(name.isidentifier() and equals for name, equals, _value in pairs):
        return "..."
    shown = (f"{name}={shlex.quote(value) if name in _SHOWN else '...'}" for name, _equals, value in pairs)
    text = " ".join(shown)
    return text if len(pairs) == 1 else f'"{text}"'
