# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook on a host that is as it should be: it says that nothing changed, and nothing did."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Processes = dict[str, set[tuple[str, str, str]]]

ROOT = Path(__file__).resolve().parents[3]


def play(*options: str) -> str:
    run = subprocess.run(
        ["ansible-playbook", "--inventory=molecule/inventory", *options, "workbot.stability.site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def before(service_processes: Callable[[], Processes]) -> Processes:
    return service_processes()


@pytest.mark.usefixtures("before")
def test_check_mode_predicts_no_change() -> None:
    output = play("--check", "--diff")
    assert re.search(r"\bchanged=0\b", output), output


def test_second_run_changes_nothing(before: Processes, service_processes: Callable[[], Processes]) -> None:
    output = play("--diff")
    assert re.search(r"\bchanged=0\b", output), output
    assert service_processes() == before
