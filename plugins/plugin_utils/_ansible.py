# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the collection uses of ansible-core that has no public name, each behind a function of its own.

No other file has such a name, with one exception: what Ansible documents for whoever writes a plugin, such as `_task`,
`_templar`, `_loader`, `_connection` and `_execute_module`, a plugin uses through its own `self`. Here these are for
those who are given the plugin.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ansible.inventory.host import Host
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.play import Play
from ansible.playbook.role import Role
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.vars.manager import VariableManager

try:
    from ansible._internal._datatag._tags import Origin
except ImportError:
    # Where a place is not known, everything else works.
    Origin = None


def origin_of(value: Any) -> Any:
    """Return where a value was written, None where that is not known."""
    return Origin.get_tag(value) if Origin else None


def uuid_of(given: Task | Role) -> str:
    """Return what tells the task, or the entry among a play's roles, from all others of the run."""
    return str(given._uuid)


def run_of(task: Task) -> str:
    """Return what the tasks of one run have in common."""
    return uuid_of(task).rpartition("-")[0]


def role_in(task: Task) -> Role | None:
    """Return the role that the task is of."""
    return task._role


def directory_of(role: Role) -> str:
    """Return the role's directory by the name that Ansible has for its files, which may be a link's."""
    return str(role._role_path)


def part_of(role: Role) -> Role:
    """Return a copy without what the entry among the play's roles says: tags, conditions and parameters."""
    part = copy.copy(role)
    part._tags, part._when, part._role_params = [], [], {}
    return part


def is_done_in_check_mode(task: Task) -> bool:
    """Return whether the task itself says so, whatever the run is."""
    return getattr(task, "_check_mode", True) is False


def bare_task(play: Play, role: Role | None, chain: list[Role]) -> Task:
    """Make a task that has nothing of its own, in a role that this chain of roles depends on."""
    block = Block(play=play, role=role)
    block._dep_chain = chain
    return Task(block=block, role=role)


def included_by(task: Task, role: Role, path: str, loader: DataLoader) -> list[Block]:
    """Return the blocks of a file of the role's tasks, below the task that includes it."""
    # A copy, since build_parent_block() takes `apply` away; what is included in turn is looked for in that role.
    parent = task.copy(exclude_parent=False)
    parent._role_path = role._role_path
    blocks: list[Block] = load_list_of_blocks(
        # read for this alone: there is nobody to keep or copy it for
        loader.load_from_file(path, cache="none", unsafe=True, trusted_as_template=True),
        play=task.play,
        parent_block=parent.build_parent_block(),
        role=role,
        variable_manager=task.get_variable_manager(),
        loader=loader,
    )
    if task._role is None:
        # files and templates of what a play's task includes are the role's
        for block in blocks:
            block._dep_chain = [role]
    return blocks


def host_named(name: str, manager: VariableManager) -> Host:
    """Return the inventory's host."""
    return manager._inventory.get_host(name)


def task_of(action: ActionBase) -> Task:
    """Return the task that the action is for."""
    return action._task


def loader_of(action: ActionBase) -> DataLoader:
    """Return what the action reads files with."""
    return action._loader


def templar_of(action: ActionBase, variables: Mapping[str, Any] | None = None) -> Any:
    """Return a templar with these variables, by default with those of the action's task."""
    return action._templar.copy_with_new_env(available_variables=variables)


def action_for(task: Task, variables: Mapping[str, Any], own: ActionBase) -> ActionBase:
    """Return the action of another task with these variables, on the host that `own` is for."""
    shared = own._shared_loader_obj
    known = task.action if shared.action_loader.has_plugin(task.action) else "ansible.builtin.normal"
    return shared.action_loader.get(
        known,
        task=task,
        connection=own._connection,
        play_context=own._play_context,
        loader=own._loader,
        templar=templar_of(own, variables),
        shared_loader_obj=shared,
    )


def answer_by(action: ActionBase, answer: Callable[..., dict[str, Any]]) -> None:
    """Have `answer` called for the results of the modules that the action runs."""
    action._execute_module = answer
