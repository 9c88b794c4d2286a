# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first play of deploy.yml and rollback.yml: what refuses a run before anything changes, and leaves no lease."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.deployer import controller

from playbooks import run_playbook

OTHER = {"run": "other", "what": "a deployment", "who": "bob@ci", "controller": "ci", "process": 1}
LOST = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


class Fleet:
    """Two hosts that are directories of this machine, and as many more as a test adds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.hosts: dict[str, dict[str, Any]] = {}
        for name in ("one", "two"):
            self.add(name, active="b", previous="a")

    def add(self, name: str, active: str, previous: str, **variables: Any) -> None:
        home = self.directory / name
        for release in ("a", "b"):
            (home / "releases" / release).mkdir(parents=True)
        (home / "active").symlink_to(home / "activations" / active)
        (home / "previous").symlink_to(home / "releases" / previous)
        self.hosts[name] = {"service_directory": str(home), **variables}

    def lease(self, name: str, **fields: Any) -> None:
        now = time.time()
        content = {**OTHER, "began": now, "until": now + 600, **fields}
        (self.directory / name / ".deploy.lease").write_text(json.dumps(content))

    def leases(self) -> list[str]:
        return [path.parent.name for path in self.directory.glob("*/.deploy.lease")]

    def run(self, playbook: str, **variables: Any) -> tuple[int, str]:
        shared = {
            "service_name": "shop",
            "service_database_enabled": False,
            "release_directory": str(self.directory),
            "pm2_script": "server.js",
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps({"app": {"vars": shared, "hosts": self.hosts}}))
        return run_playbook(f"workbot.stability.{playbook}", inventory, f"-e{json.dumps(variables)}")


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_host_that_can_not_be_reached_ends_the_run(fleet: Fleet) -> None:
    fleet.add("lost", "b", "a", **LOST)
    code, output = fleet.run("deploy")
    assert code == 2
    assert "Nothing was changed. These hosts can't take part: lost:" in output
    assert "--limit 'app:!lost', or skipped with -e deploy_unreachable=skip" in output
    assert "Deploy a release" not in output
    assert fleet.leases() == []


def test_a_host_that_another_run_has_ends_the_run(fleet: Fleet) -> None:
    # a process that is not here says nothing about a controller that only has the same name
    fleet.lease("two", controller=os.uname().nodename, process=2**22 + 1)
    code, output = fleet.run("deploy")
    assert code == 2
    assert "two: Another run has this host: a deployment by bob@ci" in output
    assert fleet.leases() == ["two"]


def test_a_wrong_variable_of_one_host_ends_the_run_of_all(fleet: Fleet) -> None:
    fleet.hosts["two"]["service_health_path"] = "no path"
    # a run of this controller that has died is no obstacle
    fleet.lease("one", controller=controller(), process=2**22 + 1)
    code, output = fleet.run("deploy")
    assert code == 2
    assert "service_health_path" in output
    assert "Another run" not in output
    assert "Deploy a release" not in output
    assert fleet.leases() == []


@pytest.mark.parametrize(
    ("playbook", "variables", "said"),
    [
        ("deploy", {"deploy_serial": "few"}, "deploy_serial = few: expected a number of hosts, 1 or more"),
        ("deploy", {"deploy_cannary": True}, "did you mean deploy_canary?"),
        ("rollback", {"rollback_release": "c"}, "release c is not on every host. one has a, b two has a, b"),
    ],
)
def test_bad_input_ends_the_run(fleet: Fleet, playbook: str, variables: dict[str, Any], said: str) -> None:
    code, output = fleet.run(playbook, **variables)
    assert code == 2
    assert said in output
    assert fleet.leases() == []


def test_hosts_that_would_go_back_to_different_releases_are_shown(fleet: Fleet) -> None:
    fleet.add("three", active="a", previous="b")
    code, output = fleet.run("rollback")
    assert code == 2
    assert "it is not clear what to go back to. one runs b, before it a" in output
    assert "three runs a, before it b" in output
