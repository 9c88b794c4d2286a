# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why nothing is done about what is starting, or was stopped: the same of the service and of Nginx. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..codes import Code
from .model import Inhibition
from .settings import Settings

BEGINNING = frozenset({"activating", "reloading"})
# PM2 can keep a worker in the middle of a start or a stop for ever.
_LONGEST_START = 300.0


def starting(message: str, settings: Settings) -> Inhibition:
    return Inhibition(Code.STARTING, message, expires_after=settings.start_grace + _LONGEST_START)


def operator_stopped(message: str) -> Inhibition:
    """Reported once, in case it was forgotten."""
    return Inhibition(Code.STOPPED_BY_OPERATOR, message, "warning")


def stopped_unit(unit: Mapping[str, str]) -> Inhibition:
    name = unit["Id"]
    if unit["ActiveState"] == "deactivating":
        return Inhibition(Code.STOPPED_BY_OPERATOR, f"systemd was asked to stop {name}, and does")
    return operator_stopped(f"{name} was stopped; start it with systemctl")
