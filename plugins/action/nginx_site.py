# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of module nginx_site: renders the templates of its files."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils.templates import rendered

_MODULE = "workbot.stability.nginx_site"


class ActionModule(ActionBase):
    """Options are documented in plugins/modules/nginx_site.py."""

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        for option in {"files", "shared_files"} & set(arguments):
            arguments[option] = [self._with_content(file, task_vars) for file in arguments[option] or []]
        result.update(self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=task_vars))
        return result

    def _with_content(self, file: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        if ("template" in file) == ("content" in file):
            raise AnsibleActionFail(f"{file.get('path', 'a file')}: one of content and template is needed")
        item = dict(file)
        if template := item.pop("template", None):
            item["content"] = rendered(self, template, task_vars, item.pop("variables", None))
        return item
