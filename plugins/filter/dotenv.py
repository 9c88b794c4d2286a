# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``dotenv``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import DotenvError, dump
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import environment_text


def dotenv(environment: t.Mapping[str, t.Any]) -> str:
    """Return the lines of an environment file. No error has a value in it, it may be a secret."""
    texts: dict[str, str] = {}
    for name, value in environment.items():
        text = environment_text(value)
        if text is None:
            raise AnsibleFilterError(f"{name} is not text, a number or a boolean")
        texts[str(name)] = text
    try:
        return dump(texts)
    except DotenvError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Registers the filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dotenv": dotenv}
