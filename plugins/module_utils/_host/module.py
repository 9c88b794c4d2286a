# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module is and ends through.

Ansible prints messages, warnings and diffs as they are, and what a service logs, or calls its files, is part of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule, heuristic_log_sanitize
from ansible.module_utils.common.parameters import remove_values

from .console import visible


class Module(AnsibleModule):  # type: ignore[misc]
    """A module whose result has nothing that the terminal of whoever runs Ansible would obey."""

    params: dict[str, Any]

    def exit_json(self, **result: Any) -> NoReturn:
        end: Callable[..., NoReturn] = super().exit_json
        end(**self._shown(result))

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        end: Callable[..., NoReturn] = super().fail_json
        end(**self._shown({"msg": msg, **result}))

    def warn(self, warning: str) -> None:
        super().warn(self._shown(warning))

    def _shown(self, value: Any) -> Any:
        # A secret with a control character in it would not be found any more once that is written out.
        return shown(remove_values(value, self.no_log_values))


def logged(value: Any, secrets: Collection[str]) -> str:
    """The value as Ansible has it in the host's log: without the secrets, and without what looks like a password."""
    return str(heuristic_log_sanitize(str(value), secrets))


def shown(value: Any) -> Any:
    """The value, in which each text has but printable characters, line ends and tabs; others are escapes, as \\x1b."""
    if isinstance(value, str):
        is_plain = value.replace("\n", "").replace("\t", "").isprintable()
        return value if is_plain else "".join(part if part in "\n\t" else visible(part) for part in value)
    if isinstance(value, Mapping):
        return {shown(key): shown(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [shown(part) for part in value]
    return value
