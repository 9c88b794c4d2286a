# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run of these playbooks with what its reader has to know. Ansible finds it beside them: nothing enables it."""

from __future__ import annotations

import gc
import sys
import typing as t

from ansible import constants, context
from ansible.plugins.callback import CallbackBase
from ansible_collections.workbot.stability.plugins.module_utils._host.console import terminal_width, visible, wrapped
from ansible_collections.workbot.stability.plugins.plugin_utils._last_lines import (
    Failure,
    lines_of_failures,
    lines_of_success,
    same_command,
)

DOCUMENTATION = r"""
name: workbot_last_lines
type: aggregate
short_description: Ends a run with what failed and what to type next
description:
  - After Ansible's recap, of a run that failed, it prints what failed on which host and why, what serves now, and the
    command to type next. Of one that succeeded, the release, its address and the next command.
"""

# A task of these prints a table, which says all.
_TABLES = frozenset({"workbot.stability.diagnosis_table", "workbot.stability.drift_table"})
# In the vars of a task that says how a run ends that has failed before.
_ENDS_RUN = "__ends_run"
# In the statistics of a run, by host: what tasks/closing.yml has put there.
_CLOSING = "workbot_stability"
# Python's own is 2,000; objects that refer to each other are some hundred bytes each.
_OBJECTS_BEFORE_A_LOOK = 50_000


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The callback ``workbot_last_lines``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "workbot_last_lines"

    def __init__(self) -> None:
        super().__init__()
        self._failures: list[Failure] = []

    def v2_playbook_on_start(self, _playbook: t.Any) -> None:
        """Have Python look for garbage seldom, in this process and those of the tasks, for which it is copied.

        What Ansible has loaded stays to the end, and Python goes through it ever again: a twelfth of a second run's
        processor time.
        """
        gc.freeze()
        gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Note what failed."""
        if not ignore_errors and result.task.action not in _TABLES:
            self._note(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Note which host is lost."""
        if not result.task.ignore_unreachable:
            self._note(result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print the last lines. What reads Ansible's output as JSON gets nothing else from standard output."""
        bad = {*stats.failures, *stats.dark}
        if failures := [failure for failure in self._failures if failure.host in bad]:
            self._print(lines_of_failures(failures, same_command(sys.argv)), constants.COLOR_ERROR)
        elif ends := {host: said[_CLOSING] for host, said in stats.custom.items() if _CLOSING in said and not bad}:
            self._print(lines_of_success(ends, context.CLIARGS["inventory"] or ()), None)

    def _note(self, result: t.Any) -> None:
        found = result.result
        # the first of a loop's that failed; all of them are printed above
        found = next((item for item in found.get("results") or () if item.get("failed")), found)
        self._failures.append(
            Failure(
                result.host.get_name(),
                result.task.name or result.task.action,
                str(found.get("msg") or ""),
                str(found.get("serves") or ""),
                bool(result.task.vars.get(_ENDS_RUN)),
            )
        )

    def _print(self, lines: list[str], color: str | None) -> None:
        width = terminal_width(sys.stdout)
        for line in map(visible, lines):
            for part in wrapped(line, 0 if line.startswith(" ") else width):
                self._display.display(part, color=color, stderr="json" in constants.DEFAULT_STDOUT_CALLBACK)
