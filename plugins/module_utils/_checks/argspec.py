# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that judge have in common: their options, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._host.errors import StabilityError
from .._host.module import Module
from .findings import CRITICAL, FAIL_ON, OK, WARNING, Levels, fails

FAIL_ON_OPTION: dict[str, Any] = {"fail_on": {"type": "str", "choices": list(FAIL_ON), "default": CRITICAL}}


def threshold_options(**defaults: tuple[float, float]) -> dict[str, Any]:
    """Options such as heap_warning and heap_critical, from heap=(80, 95)."""
    return {
        f"{name}_{level}": {"type": "float", "default": default}
        for name, pair in defaults.items()
        for level, default in zip((WARNING, CRITICAL), pair, strict=True)
    }


def levels_of(params: Mapping[str, Any], *names: str) -> Levels:
    """What such options say."""
    return {name: {level: params[f"{name}_{level}"] for level in (WARNING, CRITICAL)} for name in names}


def run_check(module: Module, check: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read, judge and end: the task fails where a finding is as bad as `fail_on` says, or where there is none.

    `check` takes the options and returns the result, a verdict with more in it. It raises StabilityError.
    """
    try:
        result = check(module.params)
    except StabilityError as error:
        module.fail_json(msg=str(error))
    if fails(result["status"], module.params["fail_on"]):
        messages = [finding["message"] for finding in result["findings"] if finding["status"] != OK]
        module.fail_json(msg="; ".join(messages), **result)
    module.exit_json(changed=False, **result)
