# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds an executable from the collection's module_utils on the controller; ansible.builtin.copy places it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._zipapp import INTERPRETER, ZipappError, build

_SOURCES = Path(__file__).parent.parent / "module_utils"


class ActionModule(ActionBase):
    """Options are documented in plugins/modules/zipapp.py."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            argument_spec={
                "dest": {"type": "path", "required": True},
                "entry_point": {"type": "str", "required": True},
                "arguments": {"type": "dict", "default": {}},
                "interpreter": {"type": "str", "default": INTERPRETER},
                "owner": {"type": "str", "default": "root"},
                "group": {"type": "str", "default": "root"},
                "mode": {"type": "str", "default": "0755"},
            }
        )
        try:
            content = build(_SOURCES, options["entry_point"], options["arguments"], options["interpreter"])
        except ZipappError as error:
            raise AnsibleActionFail(str(error)) from error
        with tempfile.NamedTemporaryFile(prefix="zipapp-") as file:
            file.write(content)
            file.flush()
            result.update(self._copy(file.name, options, task_vars))
        return result

    def _copy(self, source: str, options: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        task = self._task.copy()
        task.args = {"src": source, **{name: options[name] for name in ("dest", "owner", "group", "mode")}}
        copy = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        outcome: dict[str, Any] = copy.run(task_vars=task_vars)
        outcome.pop("invocation", None)
        return outcome
