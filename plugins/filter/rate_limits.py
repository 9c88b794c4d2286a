# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``rate_limits``."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError


def rate_limits(limits: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the limits, each with Nginx's ``rate`` (requests per minute) and the ``pause`` (seconds) between two."""
    try:
        asked = [(limit, int(limit["requests"]), int(limit["window"])) for limit in limits]
        return [
            {**limit, "rate": requests * 60 // window, "pause": -(-window // requests)}
            for limit, requests, window in asked
        ]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise AnsibleFilterError(f"rate_limits can't use what it was given: {error!r}") from error


class FilterModule:
    """Registers the filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rate_limits": rate_limits}
