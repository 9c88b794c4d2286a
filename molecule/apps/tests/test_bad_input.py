# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred and more mistakes in an inventory: each is told with its variable, and the host is as it was."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from bad_inputs import TOGETHER, hosts
from deployments import Run, wait
from hosts import ROOT, playbook
from prediction import state
from testinfra.host import Host

SCENARIO = ROOT / "molecule/apps"
HOSTS = hosts()


@pytest.fixture(scope="module")
def before(host: Host) -> dict[str, str]:
    """All of the host that a run could change."""
    return state(host)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, before: dict[str, str]) -> Run:
    """One run on all of them at once."""
    assert before
    given = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text(encoding="utf-8"))["app"]
    own = {"service_name": "probe", "release_directory": str(SCENARIO / "fixtures/express"), "service_instances": 1}
    # where the original is, from which its paths are taken
    shared = json.loads(json.dumps({**given["vars"], **own}).replace("inventory_dir", f"'{SCENARIO}/inventory'"))
    content = {"app": {"vars": shared, "hosts": {name: variables for name, (variables, _said) in HOSTS.items()}}}
    inventory = tmp_path_factory.mktemp("bad") / "inventory.json"
    inventory.write_text(json.dumps(content), encoding="utf-8")
    return wait(playbook("workbot.stability.site", {}, "--forks=10", inventory=str(inventory)), 900)


def test_the_run_fails_and_changes_nothing(host: Host, before: dict[str, str], run: Run) -> None:
    assert state(host) == before
    assert run.code == 2
    recaps = re.findall(r"changed=(\d+) +unreachable=(\d+) +failed=(\d+)", run.output)
    assert recaps == [("0", "0", "1")] * len(HOSTS)


@pytest.mark.parametrize("name", HOSTS)
def test_each_mistake_is_told(run: Run, name: str) -> None:
    _before, told = run.output.split(f"fatal: [{name}]: FAILED! =>", 1)
    told = re.split(r"fatal: \[|PLAY RECAP", told)[0]
    variables, said = HOSTS[name]
    assert "nothing was changed" in told.lower()
    assert [text for text in said if text not in told] == []
    if name not in TOGETHER:
        assert [variable for variable in variables if variable not in told] == []


def test_there_are_enough_of_them() -> None:
    assert sum(len(said) for _variables, said in HOSTS.values()) >= 120
