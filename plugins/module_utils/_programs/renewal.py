# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another activation of the active release, with the options of the last run: a restart without a failed request.

systemd starts this for the watchdog, where PM2 hangs or has grown, or for an operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._deploy.context import Context
from .._deploy.model import OPTIONS
from .._deploy.run import run as activate
from .._host.console import answer, complain
from .._host.errors import StabilityError
from .common import end, load_settings


def run(active: str) -> None:
    """`active` is the link to the directory of what is active."""
    try:
        context = load_settings(Path(active) / OPTIONS, _context, "root")
        answer(activate(context).sentence(context.places.service, check_mode=False))
    except StabilityError as error:
        complain(error)
        end(1)
    end(0)


def _context(options: Mapping[str, Any]) -> Context:
    """Raises ValueError where an option is missing, as after an upgrade until the playbook has run."""
    try:
        return Context.of({**options, "renews": True, "deployer": "systemd"})
    except KeyError as error:
        raise ValueError(f"no {error}") from error
