# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with how a playbook was called: hosts, tags and extra variables that Ansible itself passes over, so
that the run does nothing, or not what was meant, and ends well."""

from __future__ import annotations

import difflib
import typing as t

from .check import Problem, is_ignored
from .names import Names

_TAGS = ("immediate", "short_term", "long_term", "alerting", "metrics", "backup")
_ANSIBLE_TAGS = {"all", "tagged", "untagged", "always", "never"}


def host_problem(
    needed: t.Sequence[str],
    groups: t.Mapping[str, t.Sequence[str]],
    reached: t.Container[str],
    sources: t.Sequence[str],
) -> Problem | None:
    """Return why the run would reach no host of the groups that are needed, if it would not.

    The first of them is the one that must have a host. ``groups`` are the inventory's with their hosts, ``reached``
    what --limit leaves of them, and ``sources`` the files that the inventory was read from.
    """
    if not groups.get("all"):
        return Problem("inventory", f"no host in it ({', '.join(sources) or 'none was given'}); name another with -i")
    if not groups.get(needed[0]):
        others = sorted(name for name in groups if groups[name] and name not in ("all", "ungrouped"))
        near = difflib.get_close_matches(needed[0], others, 1)
        meant = f"; is the group {near[0]} meant?" if near else f", only in {', '.join(others) or 'none'}"
        return Problem("inventory", f"has no host in the group {needed[0]}{meant}")
    hosts = [host for name in needed for host in groups.get(name, ())]
    if not any(host in reached for host in hosts):
        return Problem("--limit", f"leaves out every host of the group {' or '.join(needed)}: {', '.join(hosts)}")
    return None


def tag_problems(option: str, tags: t.Iterable[str], may_be_foreign: bool) -> list[Problem]:
    """Return the tags that no task has; of those that may be foreign only what resembles one of the collection's."""
    problems = []
    for tag in tags:
        near = difflib.get_close_matches(tag, _TAGS, 1)
        if tag not in _TAGS and tag not in _ANSIBLE_TAGS and (near or not may_be_foreign):
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(_TAGS)}."
            problems.append(Problem(f"{option} {tag}", f"no task has this tag; {meant}"))
    return problems


def unknown_playbook_variables(
    names: t.Iterable[str], extra: t.Container[str], known: t.Sequence[str], ignored: t.Sequence[str]
) -> list[Problem]:
    """Return a problem for each name that is meant as one of the playbooks' variables (``known``) and is none.

    A misspelled one is, wherever it was set; of ``extra`` variables, which are for this run, each that begins like one.
    """
    problems, variables = [], Names(known)
    for name in sorted(set(names) - set(known)):
        near = variables.meant(name)
        kin = [one for one in known if name in extra and one.partition("_")[:2] == name.partition("_")[:2]]
        if not (near or kin) or is_ignored(name, ignored):
            continue
        meant = f"did you mean {near}?" if near else f"there are {', '.join(kin)}."
        text = f"no playbook has this variable; {meant} If it is yours, add it to service_ignored_variables"
        problems.append(Problem(name, text))
    return problems
