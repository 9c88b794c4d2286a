# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about the host and the request that the steps of a deployment need, and what may go wrong in them."""

from __future__ import annotations

from dataclasses import dataclass

from .._host.atomic import Ownership
from .._host.command import Identity
from .._pm2.client import Pm2Client
from .health_gate import Health
from .hooks import Hooks
from .model import Places, Wanted


@dataclass(frozen=True)
class Host:
    """The host, and how a release is to be taken into service on it."""

    client: Pm2Client
    places: Places
    wanted: Wanted
    health: Health
    hooks: Hooks
    migrate: list[str]
    drain_time: float
    user: Identity
    config_ownership: Ownership
