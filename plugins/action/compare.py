# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import time
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.vars import load_extra_vars

from ..plugin_utils._compare.comparison import Comparison
from ..plugin_utils.actions import Action


class ActionModule(Action):
    """Options are documented in plugins/modules/compare.py."""

    def outcome(self) -> dict[str, Any]:
        began = time.monotonic()
        extra = load_extra_vars(self._loader)
        first = boolean(self._task.args.get("first", False))
        comparison = Comparison(self, dict(self.variables), extra, lambda text: self.module({"questions": text}), first)
        comparison.run(self._task.play)
        found = {
            "differences": [dataclasses.asdict(difference) for difference in comparison.differences],
            "messages": comparison.messages,
            "questions": comparison.questions,
            "rounds": comparison.rounds,
            "seconds": round(time.monotonic() - began, 2),
            "host_seconds": round(comparison.host_seconds, 2),
        }
        before = self._task.args.get("before") or {}
        return {"changed": False, **{name: before[name] + value if before else value for name, value in found.items()}}
