# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible's tasks say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.playbook.block import Block
from ansible.playbook.task import Task

from .._ansible import role_in

# Actions that are taken here, not by their plugins.
INCLUDES = frozenset({"include_tasks", "include_role"})
FACTS = "set_fact"
DEBUG = "debug"
TAKEN = INCLUDES | {FACTS, DEBUG}

# What was checked before.
_CHECKED = "validate_argument_spec"
_META = "meta"
# Of Ansible's own tasks those that leave the later ones as they are where nothing has changed.
_HARMLESS = {"flush_handlers", "noop", "reset_connection", "role_complete"}
_FOR_LATER = {_META, "add_host", "group_by", "include_vars"}
_ROOT = (None, "", "root")
_ELSEWHERE = "it is run elsewhere, or as somebody else"
_OF_THE_CONNECTION = ("become_method", "become_flags", "connection", "environment", "port", "remote_user")


def tasks_of(block: Block) -> Iterator[Task]:
    """Those that run where nothing fails."""
    for item in [*block.block, *block.always]:
        yield from tasks_of(item) if isinstance(item, Block) else (item,)


def role_of(task: Task) -> str:
    role = role_in(task)
    return role.get_name(include_role_fqcn=False) if role else ""


def action_of(task: Task) -> str:
    return str(task.action).rpartition(".")[2]


def file_of(task: Task) -> str:
    return str(task.get_path()).rpartition(":")[0]


def conditions_of(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def first_false(templar: Any, given: Any) -> list[Any]:
    """The first of the conditions that does not hold; empty where all do."""
    return next(([condition] for condition in conditions_of(given) if not templar.evaluate_conditional(condition)), [])


def skipped_by(condition: Any) -> dict[str, Any]:
    """What Ansible has for the result of a task whose condition does not hold."""
    skipped = {"skipped": True, "skip_reason": "Conditional result was False", "false_condition": condition}
    return {"changed": False, "failed": False, **skipped}


def registered_by(task: Task) -> list[str]:
    """The names that the result is known by; of ansible-core 2.21 on they are the keys of what Ansible makes of one."""
    return [task.register] if isinstance(task.register, str) else list(task.register or ())


def is_silent(task: Task) -> bool:
    """Whether the task neither does anything nor has a result."""
    name = action_of(task)
    return name == _CHECKED or (name == _META and task.args.get("_raw_params") in _HARMLESS)


def unknown_of(task: Task, own: Task) -> str:
    """Why this does not know how to take the task, "" where it does; `own` is the task that asks the host."""
    if action_of(task) in _FOR_LATER or (action_of(task) == FACTS and "cacheable" in task.args):
        return "it changes what later tasks are"
    if _is_repeated(task) or task.until or task.async_val:
        return "it is repeated, or goes on in the background"
    if task.delegate_to or task.become_user not in _ROOT or _becomes(task) is not bool(own.become):
        return _ELSEWHERE
    if any((getattr(task, name) or None) != (getattr(task.play, name) or None) for name in _OF_THE_CONNECTION):
        return _ELSEWHERE
    if isinstance(task.check_mode, str) or any(name.startswith("group/") for name in defaults_of(task)):
        return "its check mode or its module's defaults are not its own"
    return ""


def unknown_results_of(task: Task) -> str:
    """Why nothing is known of the variables that come of the task, whether it is run or skipped; "" where they are."""
    if registered_by(task) and (_is_repeated(task) or task.run_once):
        return "it is repeated, or run on another host, and registers that"
    if task.run_once and action_of(task) in TAKEN:
        return "it is run on another host"
    if action_of(task) in TAKEN and (registered_by(task) or task.changed_when or task.failed_when):
        return "what becomes of its result is not known"
    if "_variable_params" in task.args:
        return "its arguments are a variable"
    return ""


def _becomes(task: Task) -> bool | None:
    """None where only Ansible knows."""
    return None if isinstance(task.become, str) else bool(task.become)


def _is_repeated(task: Task) -> bool:
    return task.loop is not None or bool(task.loop_with)


def defaults_of(task: Task) -> dict[str, Any]:
    """What module_defaults give, by the names of modules and groups: the innermost alone counts for each."""
    return {name: value for given in task.module_defaults or () for name, value in given.items()}
