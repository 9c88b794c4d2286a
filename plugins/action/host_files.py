# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module host_files: renders templates, builds programs, and sends both."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils._host.errors import StabilityError
from ..plugin_utils._program import INTERPRETER, build
from ..plugin_utils.actions import Action
from ..plugin_utils.templates import rendered

_CODE = Path(__file__).parent.parent / "module_utils"
_SOURCES = ("content", "template", "program")


class ActionModule(Action):
    """Options are documented in plugins/modules/host_files.py."""

    def outcome(self) -> dict[str, Any]:
        files = [self._prepared(dict(item)) for item in self._task.args.get("files") or []]
        return self.module({**self._task.args, "files": files})

    def _prepared(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the file as the host's half takes it; what is only compared needs no more than a program's digest.

        Content goes in base64: the host's journal is to have neither secrets nor whole files, and what is masked there
        is found by its text, which is another one where a representation has line ends.
        """
        if len([name for name in _SOURCES if item.get(name) is not None]) != 1:
            raise AnsibleActionFail(f"{item.get('path', 'a file')}: one of {', '.join(_SOURCES)} is needed")
        added = item.pop("vars", None)
        if template := item.pop("template", None):
            item["content"] = rendered(self, template, self.variables, added)
        if (content := item.pop("content", None)) is not None:
            item["sent"] = _encoded(str(content).encode())
        if program := item.pop("program", None):
            built, compared = _built(program), self._task.check_mode
            item |= {"sha256": hashlib.sha256(built).hexdigest()} if compared else {"sent": _encoded(built)}
        return item


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _built(program: dict[str, Any]) -> bytes:
    try:
        return build(_CODE, program["entry_point"], program.get("arguments") or {}, INTERPRETER)
    except StabilityError as error:
        raise AnsibleActionFail(str(error)) from error
