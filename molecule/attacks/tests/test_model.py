# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every attack begins with: an attacker who is the service's user and its SQL role, and nobody else."""

from __future__ import annotations

from attacks import HOSTILE, NEIGHBOUR, Attacker
from deployments import Service


def test_the_attacker_is_the_service_alone(attacker: Attacker) -> None:
    assert attacker.run("id -un; id -Gn").split() == [HOSTILE, HOSTILE]
    assert attacker.sql("SELECT session_user, usesuper FROM pg_user WHERE usename = session_user") == f"{HOSTILE}|f"


def test_the_neighbour_serves_beside_it(hostile: Service, neighbour: Service) -> None:
    assert {process["status"] for process in neighbour.settled()["pm2"]} == {"online"}
    assert {process["status"] for process in hostile.settled()["pm2"]} == {"online"}
    assert neighbour.name == NEIGHBOUR
