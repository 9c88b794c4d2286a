# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`--check --diff` predicts exactly what the run then does, and touches nothing: a bare host, one that drifted.

The finished host is in test_second_run.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drifts import DRIFTS
from hosts import HOSTS
from prediction import Record, differences, play, state, touched
from testinfra.host import Host

# What the first two runs on the host left; see converge.yml and molecule.yml.
BARE = HOSTS / "bare"


@pytest.fixture(scope="module")
def bare() -> Path:
    if not (BARE / "before-check.json").exists():
        pytest.skip("this host's first run was not one in check mode: `molecule test -s site` begins with that")
    return BARE


def test_bare_host_becomes_what_check_mode_said(bare: Path) -> None:
    check, run = (Record.of(bare / f"converge-{mode}.json") for mode in ("check", "run"))
    assert len(run.changed) > 30, "the host was not bare"
    assert differences(check, run) == []


def test_check_mode_leaves_a_bare_host_bare(bare: Path) -> None:
    before, after = (json.loads((bare / f"before-{mode}.json").read_text()) for mode in ("check", "run"))
    assert touched(before, after) == []


@pytest.fixture(scope="module")
def drifted(host: Host) -> Host:
    for what, command in DRIFTS.items():
        done = host.run(command)
        assert done.rc == 0, f"{what}: {done.stderr}"
    return host


def test_drifted_host_becomes_what_check_mode_said(drifted: Host, tmp_path: Path) -> None:
    before = state(drifted)
    check = play(tmp_path, "--check")
    assert touched(before, state(drifted)) == []
    run = play(tmp_path)
    # a task repairs several of them, and some have more than one
    assert len(run.changed) >= len(DRIFTS) // 2
    assert differences(check, run) == []
    assert play(tmp_path / "afterwards", "--check").changed == [], "the run has not repaired what it had said"
