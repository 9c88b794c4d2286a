# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible's tasks say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.playbook.block import Block
from ansible.playbook.task import Task

_ROOT = (None, "", "root")


def tasks_of(block: Block) -> Iterator[Task]:
    """Those that run where nothing fails."""
    for item in [*block.block, *block.always]:
        yield from tasks_of(item) if isinstance(item, Block) else (item,)


def role_of(task: Task) -> str:
    return task._role.get_name(include_role_fqcn=False) if task._role else ""


def action_of(task: Task) -> str:
    return str(task.action).rpartition(".")[2]


def file_of(task: Task) -> str:
    return str(task.get_path()).rpartition(":")[0]


def conditions_of(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def all_hold(templar: Any, given: Any) -> bool:
    return all(templar.evaluate_conditional(condition) for condition in conditions_of(given))


def registered_by(task: Task) -> list[str]:
    """The names that the result is known by; of ansible-core 2.21 on they are the keys of what Ansible makes of one."""
    return [task.register] if isinstance(task.register, str) else list(task.register or ())


def unknown_of(task: Task, own: Task) -> str:
    """Why this does not know how to take the task, "" where it does; `own` is the task that asks the host."""
    if task.loop is not None or task.loop_with or task.until or task.async_val:
        return "it is repeated, or goes on in the background"
    if task.delegate_to or bool(task.become) != bool(own.become) or task.become_user not in _ROOT:
        return "it is run elsewhere, or as somebody else"
    return ""


def defaults_of(task: Task, templar: Any) -> dict[str, Any]:
    """The arguments that module_defaults give the task's module."""
    found: dict[str, Any] = {}
    for given in task.module_defaults or ():
        for name in (task.action, task.resolved_action):
            if name in given:
                found |= templar.template(given[name])
    return found
