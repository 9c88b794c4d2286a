# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not as declared on a server, with the statements that put it right: to compare is to plan the change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .client import PgClient


@dataclass(frozen=True)
class Step:
    """A difference, and the statements that end it; a statement may hold a password's verifier."""

    problem: str
    statements: tuple[str, ...] = field(repr=False)


def carry_out(client: PgClient, steps: Iterable[Step]) -> None:
    """All of it or nothing. Raises PgError."""
    with client.transaction():
        carry_out_singly(client, steps)


def carry_out_singly(client: PgClient, steps: Iterable[Step]) -> None:
    """Each statement by itself, for those that no transaction takes. Raises PgError."""
    for step in steps:
        for statement in step.statements:
            client.execute(statement)
