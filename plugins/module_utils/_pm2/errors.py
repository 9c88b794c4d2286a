# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong with a PM2 daemon."""

from __future__ import annotations

from .._host.errors import StabilityError


class Pm2Error(StabilityError):
    """PM2 is not there, did not answer, or refused."""


class Pm2TimeoutError(Pm2Error):
    """PM2 did not answer in time."""


class Pm2BusyError(Pm2Error):
    """Another run is changing this PM2's processes."""
