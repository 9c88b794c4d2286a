# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own output, in which an error is printed once."""

from __future__ import annotations

DOCUMENTATION = r"""
name: brief
type: stdout
short_description: Prints each error once, without the place in a role where the task is written
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Ansible's default output, but a failed task prints its message once and wrapped between words, without the place
    in a role where the task is written. With C(-v) it is Ansible's own.
extends_documentation_fragment: [default_callback, result_format_callback]
requirements:
  - set as stdout in the configuration, C(stdout_callback = workbot.stability.brief)
"""

import typing as t

from ansible.plugins.callback.default import CallbackModule as Default

from ..module_utils._host.console import wrapped

# Ansible's own words of what is wrong in a playbook or an inventory: there the place is what is looked for.
_NOT_OF_A_MODULE = "Task failed"
_INDENT = 8


class CallbackModule(Default):  # type: ignore[misc]
    """The callback ``brief``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "workbot.stability.brief"

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Print the message of a module, and nothing else of its result."""
        found = result.result
        if self._is_short(found) and "results" not in found:
            lines = [
                part for line in found["msg"].splitlines() for part in wrapped(line, self._display.columns - _INDENT)
            ]
            for name in found.keys() - {"warnings", "deprecations"}:
                del found[name]
            found["msg"] = "\n".join(lines)
        super().v2_runner_on_failed(result, ignore_errors=ignore_errors)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Print the item that failed once."""
        if self._is_short(result.result):
            result.result.pop("exception", None)
        super().v2_runner_item_on_failed(result)

    def _is_short(self, found: dict[str, t.Any]) -> bool:
        message = found.get("msg")
        return not self._display.verbosity and isinstance(message, str) and not message.startswith(_NOT_OF_A_MODULE)
