# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of a play that are to come, gone through in one process as if none of them changed anything.

A task is taken as Ansible takes it: tags, conditions, variables, arguments, the controller's half of its module. What
it would ask the host is kept, and asked together with what others would ask. A task that needs an answer is put off
until it is there. What this does not know how to take is said to differ: then the tasks are run, which is always right.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.role import Role
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase

from .._ansible import (
    action_for,
    directory_of,
    included_by,
    is_done_in_check_mode,
    loader_of,
    part_of,
    role_in,
    task_of,
    templar_of,
    uuid_of,
)
from .questions import Result, Running, Unanswered, UnansweredError, shown, source
from .tasks import (
    DEBUG,
    FACTS,
    INCLUDES,
    action_of,
    conditions_of,
    defaults_of,
    file_of,
    first_false,
    is_silent,
    registered_by,
    role_of,
    skipped_by,
    tasks_of,
    unknown_of,
    unknown_results_of,
)
from .variables import Place, Variables

Ask = Callable[[str], Result]

# More than any task depends on others for.
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Difference:
    """A task that would change something, and what; or that could not be gone through, and why."""

    role: str
    task: str
    what: str
    since: str = ""
    """When files of it were last changed, "" where the host does not know."""


class _EnoughError(Exception):
    """There is a difference, and no other is asked for."""


@dataclass(frozen=True)
class _PutOff:
    """What is next of a task, and the names that what comes of it is known by, each with its place."""

    task: Task
    step: Callable[[], None]
    names: tuple[tuple[Place, str], ...]


@dataclass
class Comparison:
    """What is found, and what is asked.

    `action` is the one that runs, `variables` are those of its task, of which `extra` win over all others, `ask` hands
    the host its questions. With `first` it ends at the first difference.
    """

    action: ActionBase
    variables: dict[str, Any]
    extra: Mapping[str, Any]
    ask: Ask
    first: bool = False
    messages: list[Any] = field(default_factory=list)
    """What the tasks say of a host on which nothing differs."""
    told: list[str] = field(default_factory=list)
    """What a run does not change, and a person has to."""
    questions: int = 0
    rounds: int = 0
    host_seconds: float = 0.0
    _found: list[tuple[Place, Difference]] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)
    _asked: list[Running] = field(default_factory=list)
    _put_off: list[_PutOff] = field(default_factory=list)
    _files: dict[tuple[str, str], list[Task]] = field(default_factory=dict)
    """The chosen tasks of each included file, by the including task and the path."""
    _parts: dict[str, Role] = field(default_factory=dict)
    _looked: bool = False

    @property
    def differences(self) -> list[Difference]:
        """In the order of their tasks."""
        return [difference for _place, difference in sorted(self._found, key=lambda found: found[0])]

    def run(self, play: Play) -> None:
        """Go through what the play has after the action's own task and those beside it in its file.

        A role of which a task has imported or included a part is in the play's list as well, and is passed over there.
        """
        try:
            self._variables = Variables(self.action, self.variables, self.extra)
            tasks = list(self._to_come(play))
            self._render(tasks)
            self._go_through(tasks)
            while self._is_open:
                self._ask_all()
                # in the order of the tasks: a later one may give another value to the same name
                retried, self._put_off = sorted(self._put_off, key=lambda one: self._places[uuid_of(one.task)]), []
                for one in retried:
                    self._attempt(one.task, one.step)
        except AnsibleConnectionFailure:
            raise
        except _EnoughError:
            pass
        except Exception as error:
            # Another version of Ansible, for example: unknown is not the same as the same.
            unknown = Difference("", "", f"can't be compared: {type(error).__name__}: {error}")
            self._found.append(((len(self._places),), unknown))
        finally:
            # of actions that wait for an answer that nobody wants any more
            loader_of(self.action).cleanup_all_tmp_files()

    def _to_come(self, play: Play) -> Iterator[Task]:
        own = task_of(self.action)
        before = list(self._chosen(play.pre_tasks))
        place = [uuid_of(task) for task in before].index(uuid_of(own))
        roles = (role for role in play.roles if not role.from_include)
        after = (*before[place:], *self._chosen(block for role in roles for block in role.compile(play=play)))
        after += (*self._chosen(play.tasks), *self._chosen(play.post_tasks))
        return (task for task in after if file_of(task) != file_of(own))

    def _chosen(self, blocks: Iterable[Block]) -> Iterator[Task]:
        """What the tags of the run choose."""
        return (task for block in blocks for task in tasks_of(block.filter_tagged_tasks(self.variables)))

    def _render(self, tasks: Iterable[Task]) -> None:
        to_come = {name for task in tasks for name in self._own_names(task)}
        prefixes = tuple(f"{role}_" for role in {"service", *(role_of(task) for task in tasks)} if role)
        self._variables.render(self.action, prefixes, to_come)

    def _own_names(self, task: Task) -> Iterator[str]:
        yield from (*registered_by(task), *task.get_vars(), *task.get_include_params())
        yield from (task.args if action_of(task) == FACTS else ())
        role = role_in(task)
        yield from (role.get_role_params() if role else ())
        with contextlib.suppress(AnsibleError):
            for inner in self._included(task, task.args) if action_of(task) in INCLUDES else ():
                yield from self._own_names(inner)

    def _go_through(self, tasks: Iterable[Task], below: Place = ()) -> None:
        for number, task in enumerate(tasks):
            self._places[uuid_of(task)] = (*below, number)
            self._attempt(task, partial(self._take, task))

    def _attempt(self, task: Task, step: Callable[[], None]) -> None:
        """Do what is next of a task, or put it off while there are answers to come: it may be for want of one."""
        self._looked = False
        try:
            step()
        except AnsibleConnectionFailure:
            raise
        except (AnsibleError, UnansweredError) as error:
            if not self._is_open:
                self._tell(task, "can't be compared", getattr(error, "message", error))
            else:
                self._wait(task, step)

    def _wait(self, task: Task, step: Callable[[], None]) -> None:
        try:
            names = tuple(self._given_by(task, self._places[uuid_of(task)]))
        except AnsibleError as error:
            self._tell(task, "can't be compared", error.message)
        else:
            self._put_off.append(_PutOff(task, step, names))

    def _to_be_answered(self) -> Iterator[tuple[Place, str, Unanswered]]:
        for running in self._asked:
            for name in registered_by(running.given):
                yield self._places[uuid_of(running.given)], name, Unanswered(self._look)
        for one in self._put_off:
            registered = registered_by(one.task)
            for place, name in one.names:
                yield place, name, Unanswered(self._look, sure=name in registered)

    @property
    def _is_open(self) -> bool:
        return bool(self._asked or self._put_off)

    def _look(self) -> None:
        self._looked = True

    def _require_answers(self) -> None:
        if self._looked:
            raise UnansweredError("it needs an answer that there is not")

    def _given_by(self, task: Task, place: Place) -> Iterator[tuple[Place, str]]:
        """The names of the variables that come of a task. Raises AnsibleError where they can't be known."""
        name = action_of(task)
        yield from ((place, registered) for registered in registered_by(task))
        names = task.args if name == FACTS else task.args.values() if name in INCLUDES else ()
        if any("{{" in str(part) for part in names):
            raise AnsibleError("an answer names what comes of it")
        if name == FACTS:
            yield from ((place, fact) for fact in names)
        elif name in INCLUDES:
            try:
                included = self._included(task, task.args)
            except AnsibleError:
                # it is a difference, if it comes to that
                return
            for number, inner in enumerate(included):
                yield from self._given_by(inner, (*place, number))

    def _take(self, task: Task) -> None:
        if is_silent(task):
            return
        if reason := unknown_results_of(task):
            self._tell(task, "can't be compared", reason)
            return
        variables = self._variables_of(task)
        templar = self._templar(variables, [task.when, task.args, task.module_defaults])
        is_false = first_false(templar, task.when)
        self._require_answers()
        if is_false:
            self._register(task, skipped_by(is_false[0]))
            return
        if reason := unknown_of(task, task_of(self.action)) or self._variables.strange(task):
            self._tell(task, "can't be compared", reason)
            return
        arguments, name = templar.template(task.args), action_of(task)
        self._require_answers()
        if name == DEBUG:
            self.messages += [arguments["msg"]] if "msg" in arguments else []
        elif name in INCLUDES:
            self._go_through(self._included(task, arguments), self._places[uuid_of(task)])
        elif name == FACTS:
            self._learn(task, {templar.template(key): value for key, value in arguments.items()})
        else:
            defaults = defaults_of(task).get(task.resolved_action or task.action) or {}
            self._call(task, variables, {**templar.template(defaults), **arguments})

    def _variables_of(self, task: Task) -> dict[str, Any]:
        return self._variables.of(task, self._places[uuid_of(task)], self._to_be_answered())

    def _templar(self, variables: Mapping[str, Any], given: Iterable[Any]) -> Any:
        referred = self._variables.referred(given, variables)
        self._looked |= any(isinstance(value, Unanswered) and not value.sure for value in referred.values())
        self._require_answers()
        return templar_of(self.action, referred)

    def _included(self, task: Task, arguments: Mapping[str, Any]) -> list[Task]:
        """The tasks of a file of the task's own role; of one of the play's, where the play's task includes a part."""
        role, name = role_in(task), arguments.get("_raw_params")
        if not arguments.keys() <= {"_raw_params", "apply", "name", "tasks_from"}:
            raise AnsibleError("it says more of a role than which part")
        if name is None:
            role, name = self._included_role(task, arguments), arguments.get("tasks_from", "main.yml")
        if role is None:
            raise AnsibleError("it is no part of a role of the play's")
        path = str(Path(directory_of(role)) / "tasks" / name)
        if "/" in name or (role_in(task) and Path(file_of(task)).parent != Path(path).parent):
            raise AnsibleError("its file is in another directory")
        key = uuid_of(task), path
        if key not in self._files:
            self._files[key] = list(self._chosen(included_by(task, role, path, loader_of(self.action))))
        return self._files[key]

    def _included_role(self, task: Task, arguments: Mapping[str, Any]) -> Role | None:
        """The role of which the play's task includes a part, without what its entry among the play's roles says."""
        for role in [] if role_in(task) else task.play.roles:
            if role.get_name() == arguments.get("name") and not role.from_include and not role.get_all_dependencies():
                return self._parts.setdefault(uuid_of(role), part_of(role))
        return None

    def _call(self, task: Task, variables: dict[str, Any], arguments: dict[str, Any]) -> None:
        copied = task.copy(exclude_parent=False)
        # what is said to be safe in check mode is done
        copied.args, copied.check_mode, copied.diff = arguments, not is_done_in_check_mode(task), True
        self._go_on(Running(action_for(copied, variables, self.action), copied, task, variables))

    def _go_on(self, running: Running) -> None:
        task = running.given
        try:
            result = running.result()
        except AnsibleError as error:
            self._looked |= self._is_open
            result = {"failed": True, "msg": error.message}
        if self._looked:
            self._wait(task, partial(self._take, task))
        elif result is None:
            self._asked.append(running)
        else:
            self._attempt(task, partial(self._judge, task, result))

    def _ask_all(self) -> None:
        asked = [*self._asked]
        if not asked:
            return
        if self.rounds == _MOST_ROUNDS:
            raise AnsibleError("the answers lead to ever more questions")
        self.rounds += 1
        self.questions += len(asked)
        sources = {running.module: source(running.module) for running in asked}
        questions = [running.question for running in asked]
        answered = self.ask(json.dumps({"sources": sources, "questions": questions}))
        self.host_seconds += answered.get("seconds", 0.0)
        answers = answered.get("answers") or ()
        if len(answers) != len(asked):
            said = answered.get("msg") or answered.get("module_stderr")
            self._asked = []
            self._tell(asked[0].given, "the host did not answer", said)
            return
        for running, answer in zip(asked, answers, strict=True):
            self._looked = False
            self._asked.remove(running)
            running.answer(answer)
            self._go_on(running)

    def _judge(self, task: Task, result: Result) -> None:
        result = {"changed": False, "failed": bool(result.get("rc")), **result}
        since = result.pop("since", "")
        self._register(task, result)
        templar = self._templar(self._variables_of(task), [task.changed_when, task.failed_when])
        if conditions_of(task.changed_when):
            result["changed"] = not first_false(templar, task.changed_when)
        if conditions_of(task.failed_when):
            result["failed"] = not first_false(templar, task.failed_when)
        self._require_answers()
        if result["failed"]:
            self._tell(task, "would fail", result.get("msg"))
        elif result["changed"]:
            self._tell(task, "", shown(result), since)
        elif result.get("skipped") or result.get("ansible_facts"):
            self._tell(task, "can't be compared", "its module has no check mode, or gives facts")
        else:
            self.messages += result.get("warnings") or ()
        self.told += [text for text in result.get("told") or () if text not in self.told]

    def _register(self, task: Task, result: Result) -> None:
        self._learn(task, dict.fromkeys(registered_by(task), result))

    def _learn(self, task: Task, values: Mapping[str, Any]) -> None:
        self._variables.learn(self._places[uuid_of(task)], values)

    def _tell(self, task: Task, what: str, detail: object, since: str = "") -> None:
        parts = filter(None, (what, "" if task.no_log else str(detail)))
        self._found.append((self._places[uuid_of(task)], Difference(role_of(task), task.name, ": ".join(parts), since)))
        if self.first:
            raise _EnoughError
