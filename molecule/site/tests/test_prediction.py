# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`--check --diff` predicts exactly what the run then does to a bare host, and touches nothing.

What a run does not take out of the way it refuses before the first change.

The finished host is in test_second_run.py, one that has drifted in test_drift.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from drift_kinds import do
from drifts import REFUSED
from hosts import HOSTS, ROOT, playbook
from prediction import Record, differences, state, touched
from testinfra.host import Host

# What the first two runs on the host left; see converge.yml and molecule.yml.
BARE = HOSTS / "bare"
# Of an inventory with a monitor, or a repository for backups.
NOT_ASKED_FOR = {f"workbot.stability.{role}" for role in ("monitoring", "exporters", "backup")}


@pytest.fixture(scope="module")
def bare() -> Path:
    if not (BARE / "before-check.json").exists():
        pytest.skip("this host's first run was not one in check mode: `molecule test -s site` begins with that")
    return BARE


def test_bare_host_becomes_what_check_mode_said(bare: Path) -> None:
    check, run = (Record.of(bare / f"converge-{mode}.json") for mode in ("check", "run"))
    roles = {f"workbot.stability.{role.name}" for role in (ROOT / "roles").iterdir()}
    done = {entry["task"].partition(" : ")[0] for entry in run.changed}
    assert done == roles - NOT_ASKED_FOR, "the host was not bare"
    assert differences(check, run) == []


def test_check_mode_leaves_a_bare_host_bare(bare: Path) -> None:
    before, after = (json.loads((bare / f"before-{mode}.json").read_text()) for mode in ("check", "run"))
    assert touched(before, after) == []


@pytest.fixture
def obstructed(host: Host) -> Iterator[Host]:
    do(host, {what: drift.made for what, drift in REFUSED.items()})
    yield host
    do(host, {what: drift.undone for what, drift in REFUSED.items()})


def test_what_is_in_the_way_is_named_and_nothing_is_changed(obstructed: Host) -> None:
    before = state(obstructed)
    run = playbook("workbot.stability.site", {})
    output = " ".join(run.communicate()[0].split())
    assert run.returncode == 2, output
    assert [what for what, drift in REFUSED.items() if drift.says not in output] == [], output
    assert "changed=0" in output
    assert touched(before, state(obstructed)) == []
