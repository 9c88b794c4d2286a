# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another activation of the active release, with the options of the last run: a restart without a failed request.

systemd starts this for the watchdog, where PM2 hangs or has grown, or for an operator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._deploy.context import Context
from .._deploy.model import OPTIONS
from .._deploy.run import run as activate
from .._host.console import answer, run_command
from .common import attempt, load_settings


def main(active: str) -> int:
    """Activate again what is active, to whose directory the link `active` leads; return the exit status."""

    def command() -> int:
        context = load_settings(Path(active) / OPTIONS, _context, "root")
        answer(activate(context).sentence(context.places.service, check_mode=False))
        return os.EX_OK

    return attempt(command, active)


def run(active: str) -> None:
    """Run it as a process of its own."""
    run_command(lambda: main(active))


def _context(options: Mapping[str, Any]) -> Context:
    """Raises ValueError where an option is missing, as after an upgrade until the playbook has run."""
    try:
        return Context.of({**options, "renews": True, "deployer": "systemd"})
    except KeyError as error:
        raise ValueError(f"no {error}") from error
