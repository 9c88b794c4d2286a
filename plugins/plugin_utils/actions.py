# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action plugins have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

# What tasks/deploy_turn.yml registers.
_TURN = "__deploy_turn"
_LOST = "The connection to the host was lost"
_STATUS = "ansible.builtin.async_status"
_OF_THE_JOB = ("ansible_job_id", "finished", "results_file", "started")
_PAUSE = 0.5


class Action(ActionBase):
    """An action whose `outcome` is its result."""

    lost = ""
    """What to say of a lost connection where it is always a failure and not "unreachable", which no playbook can
    answer. In a host's turn it is one whatever the action: the run has to say where the fleet stands."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.variables = task_vars or {}
        try:
            return {**result, **self.outcome()}
        except AnsibleConnectionFailure as error:
            lost = self.lost or (_LOST if _TURN in self.variables else "")
            if not lost:
                raise
            return {**result, "failed": True, "msg": f"{lost}: {error}"}

    def outcome(self) -> dict[str, Any]:
        """Return the result of the module of the same name."""
        return self.module(self._task.args)

    def module(self, arguments: Mapping[str, Any], name: str | None = None) -> dict[str, Any]:
        """Run the module of the same name, or another one."""
        outcome: dict[str, Any] = self._execute_module(name, dict(arguments), task_vars=self.variables)
        return outcome

    def begin(self, arguments: Mapping[str, Any], seconds: int) -> str:
        """Have the module of the same name go on in the background, for so long at most; the job, for `result_of`."""
        self._task.async_val = seconds
        try:
            begun = self._execute_module(None, dict(arguments), task_vars=self.variables, wrap_async=True)
        finally:
            self._task.async_val = 0
        if "results_file" not in begun:
            raise AnsibleActionFail(f"It can't go on in the background: {begun.get('msg') or begun}")
        return str(begun["results_file"])

    def result_of(self, job: str, seconds: int) -> dict[str, Any]:
        """Wait for the job, so long at most, and let nothing of it remain; the result, as of `module`."""
        directory, _slash, name = job.rpartition("/")
        arguments = {"jid": name, "_async_dir": directory}
        deadline = time.monotonic() + seconds
        while not (done := self.module({**arguments, "mode": "status"}, _STATUS)).get("finished", True):
            if time.monotonic() > deadline:
                raise AnsibleActionFail(f"What goes on in the background has not ended within {seconds} s: {job}")
            time.sleep(_PAUSE)
        self.module({**arguments, "mode": "cleanup"}, _STATUS)
        return {name: value for name, value in done.items() if name not in _OF_THE_JOB}

    def show(self, lines: Sequence[tuple[str, str]], colours: Mapping[str, str]) -> None:
        """Print lines, each in the colour of its state. As the task's message Ansible would quote and escape them."""
        self._display.display("")
        for state, line in lines:
            self._display.display(line, color=colours[state])
        self._display.display("")
