# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible itself shows of a task, in the journal and with -vvv, without the values of an app's environment.

no_log is no way: Ansible then hides each such value, `1` or `production`, wherever it stands in any message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_HIDDEN = "(hidden)"


def shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they may be shown; they may be of any type, for they are shown when they are wrong, too."""
    apps = {name: options[name] for name in ("app", "apps") if options.get(name)}
    return {**options, **{name: _without_values(value) for name, value in apps.items()}}


def _without_values(value: Any) -> Any:
    """An app, or a list of apps."""
    if isinstance(value, list):
        return [_without_values(app) for app in value]
    if not isinstance(value, Mapping):
        return _HIDDEN
    env = value.get("env") or {}
    return {**value, "env": dict.fromkeys(env, _HIDDEN) if isinstance(env, Mapping) else _HIDDEN}


class Pm2Module(AnsibleModule):  # type: ignore[misc]
    """A module whose option `app` or `apps` has fields of PM2's ecosystem file."""

    params: dict[str, Any]

    def exit_json(self, **result: Any) -> None:
        super().exit_json(**{"invocation": {"module_args": shown(self.params)}, **result})

    def fail_json(self, msg: str, **result: Any) -> None:
        super().fail_json(msg, **{"invocation": {"module_args": shown(self.params)}, **result})

    def _log_invocation(self) -> None:
        stated = self.params
        self.params = shown(stated)
        super()._log_invocation()
        self.params = stated
