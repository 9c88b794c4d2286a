# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything about the host and the request that the steps of a deployment need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._host.atomic import Ownership
from .._host.command import CommandError, Identity, clean_environment, run
from .._pm2.client import Pm2Client
from .health_gate import Health
from .model import Places, Wanted

HOOK_NAMES = (
    "before_migrate",
    "after_migrate",
    "before_start",
    "after_start",
    "before_switch",
    "after_switch",
    "before_stop",
    "after_stop",
)


@dataclass(frozen=True)
class Hooks:
    """Commands of the user between the steps, run as the service's user with the service's environment.

    Lists of commands, each a list of words, by the point they belong to. `timeout` is in seconds, for each one.
    """

    commands: Mapping[str, Sequence[Sequence[str | int | float]]]
    timeout: int
    user: Identity
    bin_directory: Path

    def run(self, name: str, directory: Path, environment: Mapping[str, str]) -> None:
        """Run the commands of that point in the directory. Raises CommandError with what the failing one wrote."""
        for argv in self.commands.get(name) or []:
            try:
                self.command(argv, directory, environment)
            except CommandError as error:
                raise CommandError(f"hook {name}: {error}") from error

    def command(self, argv: Sequence[str | int | float], directory: Path, environment: Mapping[str, str]) -> None:
        if not argv:
            raise CommandError("a hook is an empty list: it must hold the program and its arguments")
        run(
            [str(word) for word in argv],
            cwd=directory,
            environment={**environment, **clean_environment(self.user.home, self.bin_directory, {})},
            timeout=self.timeout,
            identity=self.user,
        )


@dataclass(frozen=True)
class Context:
    """How a release is to be taken into service on this host."""

    client: Pm2Client
    places: Places
    wanted: Wanted
    health: Health
    hooks: Hooks
    migrate: list[str]
    drain_time: float
    user: Identity
    config_ownership: Ownership
