# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's halves of modules ask the host, and what stands for an answer until it is there."""

from __future__ import annotations

import contextvars
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import module_loader

from .._ansible import answer_by

Result = dict[str, Any]

_DOCUMENTS = re.compile(r'^(DOCUMENTATION|EXAMPLES|RETURN) = r""".*?^"""$', re.MULTILINE | re.DOTALL)


class UnansweredError(Exception):
    """A variable was looked into that an answer will give."""


class Unanswered:
    """Stands for a variable that an answer will give, and tells whoever looks into it."""

    def __init__(self, look: Callable[[], None], sure: bool = True) -> None:
        self._look = look
        self.sure = sure
        """Whether there will be an answer: what is not sure may be undefined, or keep an earlier value."""

    def __deepcopy__(self, _known: object) -> Unanswered:
        return self

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self._look()
        raise AttributeError(name)

    def _looked_into(self, *_others: object) -> Any:
        self._look()
        raise TypeError("not answered yet")

    __bool__ = __eq__ = __ne__ = __lt__ = __gt__ = __str__ = __iter__ = __len__ = __contains__ = _looked_into
    __getitem__ = __hash__ = _looked_into


# What is registered is one, whatever the answer: whoever asks for that alone need not wait.
Mapping.register(Unanswered)


class Running:
    """An action that waits wherever it asks the host something, in a thread of its own. One of all runs at a time.

    `task` is a copy of the one that was `given`, with its arguments rendered.
    """

    def __init__(self, action: ActionBase, task: Task, given: Task, variables: dict[str, Any]) -> None:
        self.task = task
        self.given = given
        self.variables = variables
        self.module = ""
        self.arguments: dict[str, Any] = {}
        self._told: SimpleQueue[Result | AnsibleError | None] = SimpleQueue()
        self._answers: SimpleQueue[Result] = SimpleQueue()
        answer_by(action, self._asked)
        context = contextvars.copy_context()
        Thread(target=context.run, args=(self._run, action), daemon=True).start()

    def result(self) -> Result | None:
        """What the action ended with; None where it waits for what `module` answers. Raises AnsibleError."""
        told = self._told.get()
        if isinstance(told, AnsibleError):
            raise told
        return told

    @property
    def question(self) -> tuple[str, dict[str, Any], dict[str, bool]]:
        """The module, its arguments, and the run's flags for it."""
        task = self.task
        return self.module, self.arguments, {"check_mode": task.check_mode, "no_log": bool(task.no_log)}

    def answer(self, answer: Result) -> None:
        self._answers.put(answer)

    def _run(self, action: ActionBase) -> None:
        try:
            self._told.put(action.run(task_vars=self.variables))
        except AnsibleError as error:
            self._told.put(error)
        except BaseException as error:
            self._told.put(AnsibleError(f"{type(error).__name__}: {error}"))

    def _asked(
        self, module_name: str | None = None, module_args: Mapping[str, Any] | None = None, **_others: Any
    ) -> Result:
        self.module = module_name or self.task.action
        self.arguments = dict(self.task.args if module_args is None else module_args)
        self._told.put(None)
        return self._answers.get()


def source(name: str) -> str:
    """The module's code without its documentation, which is none of the host's business."""
    path = module_loader.find_plugin(name)
    if path is None:
        raise AnsibleError(f"there is no module {name}")
    return _DOCUMENTS.sub("", Path(path).read_text(encoding="utf-8"))


def shown(result: Result) -> str:
    """What a change is about, in one line for each part."""
    parts = list(result.get("problems") or result.get("changed_paths") or result.get("changed_files") or ())
    if "changed_paths" in result or not (parts or result.get("msg")):
        # what is no file: units, accounts, packages
        parts += [line for line in _lines(result.get("diff") or ()) if line not in parts]
    return "; ".join(map(str, parts)) or str(result.get("msg") or "")


def _lines(diff: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is there and shall not be; where it is the other way round, what shall be."""
    for part in [diff] if isinstance(diff, Mapping) else diff:
        if not str(part.get("before_header", "")).startswith("/"):
            before, after = (str(part.get(side, "")).splitlines() for side in ("before", "after"))
            yield from [line for line in before if line not in after] or [line for line in after if line not in before]
