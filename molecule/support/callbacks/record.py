# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what a run changed, or in check mode would change, beside what people read on the terminal.

RUN_RECORDS names a directory. There a run of site.yml in check mode writes site-check.json, another one site-run.json.
What is there already stays: it is the first run that is kept. Ansible's own callbacks that write JSON
(ansible.posix.jsonl) do so in place of the output for people, and molecule has no other log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: record
type: notification
short_description: writes down what a run changed
description: Writes the changed tasks with their diffs to a file in the directory that RUN_RECORDS names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[dict[str, Any]] = []
        self._playbook = ""

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._playbook = Path(playbook._file_name).stem

    def v2_runner_on_ok(self, result: Any) -> None:
        # the items of a loop come one by one
        if "results" not in result.result:
            self._note(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._note(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        folder = os.environ.get("RUN_RECORDS")
        if not folder or not stats.processed:
            return
        path = Path(folder, f"{self._playbook}-{'check' if context.CLIARGS['check'] else 'run'}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        failed = sorted({*stats.failures, *stats.dark})
        if not path.exists():
            path.write_text(json.dumps({"failed": failed, "changed": self._changed}, indent=1), encoding="utf-8")

    def _note(self, result: Any) -> None:
        found = result.result
        if not found.get("changed"):
            return
        item = found.get("_ansible_item_label", found.get("item", ""))
        diff = found.get("diff") or []
        self._changed.append(
            {
                "host": result.host.get_name(),
                "task": result.task.get_name(),
                "item": item if isinstance(item, str) else json.dumps(item, sort_keys=True),
                "diff": json.loads(json.dumps(diff if isinstance(diff, list) else [diff], default=str)),
            }
        )
