# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about the host and the request that the steps of a deployment need, and what may go wrong in them."""

from __future__ import annotations

from dataclasses import dataclass

from ._activation import ActivationError, Places, Wanted
from ._activation_files import Ownership
from ._activation_gate import GateError, Health
from ._activation_hooks import Hooks
from ._dotenv import DotenvError
from ._node import NodeError
from ._pm2_client import Pm2Client, Pm2Error
from ._run_as import CommandError, Identity
from ._unix_sockets import UnixSocketError

FAILURES = (NodeError, ActivationError, Pm2Error, GateError, CommandError, UnixSocketError, DotenvError, OSError)


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
