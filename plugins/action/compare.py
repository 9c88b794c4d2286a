# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.vars import load_extra_vars

from ..plugin_utils._compare.comparison import Comparison
from ..plugin_utils._program import archive
from ..plugin_utils.actions import Action

_LOGIC = Path(__file__).parents[1] / "module_utils"
# What the host's own programs are made of, and no module.
_PROGRAMS = "_programs"


class ActionModule(Action):
    """Options are documented in plugins/modules/compare.py."""

    def outcome(self) -> dict[str, Any]:
        began = time.monotonic()
        extra = load_extra_vars(self._loader)
        first = boolean(self._task.args.get("first", False))
        comparison = Comparison(self, dict(self.variables), extra, self._ask, first)
        comparison.run(self._task.play)
        found = {
            "differences": [dataclasses.asdict(difference) for difference in comparison.differences],
            "messages": comparison.messages,
            "told": comparison.told,
            "questions": comparison.questions,
            "rounds": comparison.rounds,
            "seconds": round(time.monotonic() - began, 2),
            "host_seconds": round(comparison.host_seconds, 2),
        }
        before = self._task.args.get("before") or {}
        return {"changed": False, **{name: before[name] + value if before else value for name, value in found.items()}}

    def _ask(self, questions: str) -> dict[str, Any]:
        """Have the host answer. The logic of the modules goes along only where it is not there from an earlier run."""
        logic = _logic()
        asked = {"questions": questions, "logic": hashlib.sha256(logic).hexdigest()}
        answered = self.module(asked)
        if answered.get("missing"):
            answered = self.module({**asked, "archive": base64.b64encode(logic).decode()})
        return answered


@functools.cache
def _logic() -> bytes:
    """What modules import of the collection: same sources, same bytes."""
    sources = (path for path in _LOGIC.rglob("*.py") if path.relative_to(_LOGIC).parts[0] != _PROGRAMS)
    return archive({str(path.relative_to(_LOGIC.parent)): path.read_bytes() for path in sources})
