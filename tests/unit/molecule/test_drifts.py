# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drift counts as announced by its own task alone, with its path as a whole."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from drift_kinds import Drift
from drifts import DRIFTS, REFUSED
from prediction import Record

OPENED = Drift("chmod 0777 /srv/shop", "Create the user", '"/srv/shop"', "true")


def change(task: str, path: str, item: str = "") -> dict[str, Any]:
    return {"host": "app1", "task": task, "item": item, "diff": [{"before_header": path}]}


@pytest.mark.parametrize(
    ("entry", "announced"),
    [
        (change("workbot.stability.service : Create the user, and more", "/srv/shop"), True),
        (change("workbot.stability.service : Create the user, and more", "", item="/srv/shop"), True),
        (change("workbot.stability.service : Create the user, and more", "/srv/shop/shared"), False),
        (change("workbot.stability.pm2 : Install the unit", "/srv/shop"), False),
    ],
)
def test_a_drift_is_announced_by_its_task_and_its_path(entry: dict[str, Any], announced: bool) -> None:
    assert OPENED.is_announced(Record([], [entry])) is announced


def test_every_command_can_be_read_by_a_shell() -> None:
    """A word of theirs that is wrong would look as if the host were not well."""
    commands = [part for drift in DRIFTS.values() for part in (drift.made, drift.well)]
    commands += [part for refused in REFUSED.values() for part in (refused.made, refused.undone)]
    for command in commands:
        done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
