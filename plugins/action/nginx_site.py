# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module nginx_site: renders the templates of its files."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ..plugin_utils.actions import Action
from ..plugin_utils.templates import rendered


class ActionModule(Action):
    """Options are documented in plugins/modules/nginx_site.py."""

    def outcome(self) -> dict[str, Any]:
        arguments = dict(self._task.args)
        for option in {"files", "shared_files"} & set(arguments):
            arguments[option] = [self._with_content(file) for file in arguments[option] or []]
        return self.module(arguments)

    def _with_content(self, file: dict[str, Any]) -> dict[str, Any]:
        if ("template" in file) == ("content" in file):
            raise AnsibleActionFail(f"{file.get('path', 'a file')}: one of content and template is needed")
        item = dict(file)
        if template := item.pop("template", None):
            item["content"] = rendered(self, template, self.variables, item.pop("variables", None))
        return item
