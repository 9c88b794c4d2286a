# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of a play's roles, gone through in one process as if none of them changed anything.

A task is taken as Ansible takes it: tags, conditions, variables, arguments, the controller's half of its module. What
it would ask the host is kept, and asked together with others when a later task needs one of the answers, or at the end.
What this does not know how to take is said to differ: then the tasks are run, which is always right.
"""

from __future__ import annotations

import contextvars
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.playbook.block import Block
from ansible.playbook.helpers import load_list_of_blocks
from ansible.playbook.play import Play
from ansible.playbook.role import Role
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

Result = dict[str, Any]
Ask = Callable[[str], Result]

# What says something, or checks what was checked before the roles.
_SILENT = {"debug", "meta", "validate_argument_spec"}
_INCLUDE = "include_tasks"
_FACTS = "set_fact"
_ROOT = (None, "", "root")
_DOCUMENTS = re.compile(r'^(DOCUMENTATION|EXAMPLES|RETURN) = r""".*?^"""$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Difference:
    """A task that would change something, and what; or that could not be gone through, and why."""

    role: str
    task: str
    what: str
    since: str = ""
    """When files of it were last changed, "" where the host does not know."""


class _Running:
    """An action that waits wherever it asks the host something, in a thread of its own: one of all runs at a time."""

    def __init__(self, action: ActionBase, task: Task, variables: dict[str, Any]) -> None:
        self.task = task
        self.variables = variables
        self.module = ""
        self.arguments: dict[str, Any] = {}
        self._told: SimpleQueue[Result | AnsibleError | None] = SimpleQueue()
        self._answers: SimpleQueue[Result] = SimpleQueue()
        action._execute_module = self._asked
        context = contextvars.copy_context()
        Thread(target=context.run, args=(self._run, action), daemon=True).start()

    def result(self) -> Result | None:
        """What the action ended with; None where it waits for what `module` answers. Raises AnsibleError."""
        told = self._told.get()
        if isinstance(told, AnsibleError):
            raise told
        return told

    def answer(self, answer: Result) -> None:
        self._answers.put(answer)

    def _run(self, action: ActionBase) -> None:
        try:
            self._told.put(action.run(task_vars=self.variables))
        except AnsibleError as error:
            self._told.put(error)
        except Exception as error:
            self._told.put(AnsibleError(f"{type(error).__name__}: {error}"))

    def _asked(
        self, module_name: str | None = None, module_args: Mapping[str, Any] | None = None, **_others: Any
    ) -> Result:
        self.module = module_name or self.task.action
        self.arguments = dict(self.task.args if module_args is None else module_args)
        self._told.put(None)
        return self._answers.get()


@dataclass
class Comparison:
    """What is found, and what is asked.

    `action` is the one that runs, `variables` are those of its task, of which `extra` win over all others, `ask` hands
    the host its questions.
    """

    action: ActionBase
    variables: dict[str, Any]
    extra: Mapping[str, Any]
    ask: Ask
    differences: list[Difference] = field(default_factory=list)
    questions: int = 0
    rounds: int = 0
    host_seconds: float = 0.0
    _pending: list[_Running] = field(default_factory=list)
    _learned: dict[str, Any] = field(default_factory=dict)

    def run(self, play: Play) -> None:
        """Go through all roles of the play, but not those of which a task imports a part."""
        try:
            for role in (role for role in play.roles if not role.from_include):
                for block in role.compile(play=play):
                    self._block(block.filter_tagged_tasks(self.variables), role)
            self._flush()
        except AnsibleConnectionFailure:
            raise
        except Exception as error:
            # Another version of Ansible, for example: unknown is not the same as the same.
            self.differences.append(Difference("", "", f"can't be compared: {type(error).__name__}: {error}"))

    def _block(self, block: Block, role: Role) -> None:
        for task in _tasks(block):
            try:
                self._take(task, role)
            except AnsibleConnectionFailure:
                raise
            except AnsibleError:
                # for want of an answer, it seems
                self._flush()
                self._take_or_tell(task, role)

    def _take_or_tell(self, task: Task, role: Role) -> None:
        try:
            self._take(task, role)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            self._tell(task, f"can't be compared: {error.message}")

    def _take(self, task: Task, role: Role) -> None:
        variables = {
            **self.variables,
            **role.get_vars(include_params=True),
            **task.get_vars(),
            **self._learned,
            **self.extra,
            "role_name": role.get_name(),
            "role_path": role._role_path,
            "ansible_search_path": task.get_search_path(),
        }
        templar = self.action._templar.copy_with_new_env(available_variables=variables)
        if not _holds(templar, task.when):
            self._learn(task, {"changed": False, "skipped": True})
            return
        name = task.action.rpartition(".")[2]
        if name in _SILENT:
            return
        if reason := _unknown(task, self.action._task):
            self._tell(task, reason)
            return
        arguments = templar.template(task.args)
        if name == _INCLUDE:
            self._include(task, role, arguments["_raw_params"])
        elif name == _FACTS:
            self._learned.update({key: value for key, value in arguments.items() if key != "cacheable"})
        else:
            self._call(task, variables, {**_defaults(task, templar), **arguments})

    def _include(self, task: Task, role: Role, name: str) -> None:
        path = Path(role._role_path) / "tasks" / name
        loader = self.action._loader
        listed = loader.load_from_file(str(path), trusted_as_template=True)
        blocks = load_list_of_blocks(
            listed,
            play=task.play,
            parent_block=task.build_parent_block(),
            role=role,
            variable_manager=task._variable_manager,
            loader=loader,
        )
        for block in blocks:
            self._block(block.filter_tagged_tasks(self.variables), role)

    def _call(self, task: Task, variables: dict[str, Any], arguments: dict[str, Any]) -> None:
        copy = task.copy(exclude_parent=False)
        copy.args, copy.check_mode, copy.diff = arguments, True, True
        shared = self.action._shared_loader_obj
        known = task.action if shared.action_loader.has_plugin(task.action) else "ansible.builtin.normal"
        handler = shared.action_loader.get(
            known,
            task=copy,
            connection=self.action._connection,
            play_context=self.action._play_context,
            loader=self.action._loader,
            templar=self.action._templar.copy_with_new_env(available_variables=variables),
            shared_loader_obj=shared,
        )
        self._go_on(_Running(handler, copy, variables))

    def _go_on(self, running: _Running) -> None:
        try:
            result = running.result()
        except AnsibleError as error:
            result = {"failed": True, "msg": error.message}
        if result is None:
            self._pending.append(running)
        else:
            self._judge(running.task, running.variables, result)

    def _flush(self) -> None:
        """Ask what is pending, and what the answers lead to."""
        while self._pending:
            asked, self._pending = self._pending, []
            self._ask_all(asked)

    def _ask_all(self, asked: list[_Running]) -> None:
        self.rounds += 1
        self.questions += len(asked)
        sources = {running.module: _source(running.module) for running in asked}
        questions = [(running.module, running.arguments) for running in asked]
        answered = self.ask(json.dumps({"sources": sources, "questions": questions}))
        self.host_seconds += answered.get("seconds", 0.0)
        answers = answered.get("answers") or ()
        if len(answers) != len(asked):
            said = answered.get("msg") or answered.get("module_stderr")
            self._tell(asked[0].task, f"the host did not answer: {said}")
            return
        for running, answer in zip(asked, answers, strict=True):
            running.answer(answer)
            self._go_on(running)

    def _judge(self, task: Task, variables: dict[str, Any], result: Result) -> None:
        result = {"changed": False, "failed": False, **result}
        self._learn(task, result)
        templar = self.action._templar.copy_with_new_env(available_variables={**variables, **self._learned})
        if _conditions(task.changed_when):
            result["changed"] = _holds(templar, task.changed_when)
        if _conditions(task.failed_when):
            result["failed"] = _holds(templar, task.failed_when)
        if result["failed"]:
            self._tell(task, "would fail" if task.no_log else f"would fail: {result.get('msg')}")
        elif result["changed"]:
            self._tell(task, "" if task.no_log else _shown(result), result.get("since") or "")

    def _learn(self, task: Task, result: Result) -> None:
        self._learned.update(dict.fromkeys(_registered(task), result))

    def _tell(self, task: Task, what: str, since: str = "") -> None:
        role = task._role.get_name() if task._role else ""
        self.differences.append(Difference(role.rpartition(".")[2], task.name, what, since))


def _tasks(block: Block) -> Iterator[Task]:
    """Those that run where nothing fails."""
    for item in [*block.block, *block.always]:
        yield from _tasks(item) if isinstance(item, Block) else (item,)


def _conditions(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _holds(templar: Any, given: Any) -> bool:
    return all(templar.evaluate_conditional(condition) for condition in _conditions(given))


def _registered(task: Task) -> list[str]:
    """The names that the result is known by; of ansible-core 2.21 on they are the keys of what Ansible makes of one."""
    return [task.register] if isinstance(task.register, str) else list(task.register or ())


def _unknown(task: Task, own: Task) -> str:
    """Why this does not know how to take the task, "" where it does; `own` is the task that asks the host."""
    if task.loop is not None or task.loop_with or task.until or task.async_val:
        return "has a loop"
    if task.delegate_to or bool(task.become) != bool(own.become) or task.become_user not in _ROOT:
        return "is run elsewhere, or as somebody else"
    return ""


def _defaults(task: Task, templar: Any) -> dict[str, Any]:
    """The arguments that module_defaults give the task's module."""
    found: dict[str, Any] = {}
    for given in task.module_defaults or ():
        for name in (task.action, task.resolved_action):
            if name in given:
                found |= templar.template(given[name])
    return found


def _source(name: str) -> str:
    """The module's code without its documentation, which is none of the host's business."""
    path = module_loader.find_plugin(name)
    if path is None:
        raise AnsibleError(f"there is no module {name}")
    return _DOCUMENTS.sub("", Path(path).read_text(encoding="utf-8"))


def _shown(result: Result) -> str:
    """What a change is about, in one line for each part."""
    if problems := result.get("problems") or result.get("changed_paths") or result.get("changed_files"):
        return "; ".join(map(str, problems))
    return str(result.get("msg") or "")
