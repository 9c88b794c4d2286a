# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pm2 command that stops processes may take as long as they have to end: a long drain is not cut."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.converge import execute
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.plan import Action, Step
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process


def process(number: int, **settings: Any) -> Pm2Process:
    return Pm2Process("shop", number, 1000 + number, "online", 0, 0.0, settings=settings)


@dataclass(frozen=True)
class Reached(Pm2Client):
    """A client whose daemon is always there."""

    def require_daemon(self) -> int:
        return os.getpid()


@dataclass(frozen=True)
class Limits(Reached):
    """Runs nothing, and notes the time limit of each command."""

    seen: dict[str, float] = field(default_factory=dict)

    def as_user(self, argv: Any, limit: float, *_rest: Any, **_named: Any) -> Any:
        self.seen[argv[1]] = limit
        raise OSError


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 1.6),
        ({"kill_timeout": 30000}, 30),
        ({"kill_timeout": "x"}, 1.6),
        ({"kill_timeout": [1]}, 1.6),
        ({"kill_timeout": -5}, 1.6),
        ({"kill_timeout": 10**400}, 1.6),
        ({"kill_timeout": 1e12}, 3600),
        ({"kill_timeout": float("nan")}, 1.6),
    ],
)
def test_what_a_process_has_to_end(settings: dict[str, Any], seconds: float) -> None:
    assert process(0, **settings).stop_seconds == seconds


@pytest.mark.parametrize("times", [[float("inf")], [2**31] * 100])
def test_no_program_is_waited_for_longer_than_python_can(tmp_path: Path, times: list[float]) -> None:
    client = Reached(tmp_path, "/bin/true", "/usr/bin/node", None, 5)
    client.run("delete", stops=[process(0, kill_timeout=time) for time in times])


def test_a_command_that_stops_processes_is_given_their_time(tmp_path: Path) -> None:
    pm2 = tmp_path / "pm2"
    pm2.write_text(f"#!/bin/sh\nsleep 1\necho stopped >> {tmp_path}/done\n")
    pm2.chmod(0o755)
    client = Reached(tmp_path, str(pm2), "/usr/bin/node", None, 0.2)
    with pytest.raises(Pm2Error, match=r"`pm2 delete 1 2` did not finish within 0\.2 s"):
        client.run("delete", "1", "2")
    two = [process(number, kill_timeout=2000) for number in (1, 2)]
    client.run("delete", "1", "2", stops=two)
    assert (tmp_path / "done").read_text() == "stopped\n"
    with pytest.raises(Pm2Error, match=r"did not finish within 0\.6 s"):
        client.run("delete", "1", stops=[process(1, kill_timeout=400)])


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("delete", "delete"),
        ("recreate", "delete"),
        ("reload", "startOrReload"),
        ("restart", "startOrRestart"),
        ("stop", "stop"),
        ("scale", "scale"),
    ],
)
def test_each_step_that_stops_processes_has_the_time_of_its_own(tmp_path: Path, action: Action, command: str) -> None:
    client = Limits(tmp_path, "/usr/bin/pm2", "/usr/bin/node", None, 5)
    live = [process(number, kill_timeout=60000) for number in (1, 2, 3)]
    with pytest.raises(Pm2Error):
        execute(client, [Step(action, "shop", (1, 2))], tmp_path / "x.config.cjs", live)
    assert client.seen == {command: 125}
