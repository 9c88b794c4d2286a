# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that shows the plan, on hosts that have nothing of the service: facts are this machine's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

HOSTS = {
    # Neither a release nor secrets are there yet.
    "good": {"service_instances": "1", "service_heap_limit": "64M"},
    "misspelled": {"service_instnces": 2},
    "contrary": {"service_heap_limit": "2G", "service_memory_restart_limit": "1G", "service_instances": "1"},
    "silent": {"service_instances": "1", "service_heap_limit": "64M", "nginx_websocket_timeout": "60s"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Return the run over all hosts, and the file that it wrote."""
    directory = tmp_path_factory.mktemp("plan")
    # Without the database the smallest machine will do.
    shared = {
        "service_name": "shop",
        "service_database_enabled": False,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    inventory = {"app": {"vars": shared, "hosts": HOSTS}}
    (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    written = directory / "plan.json"
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "inventory.json",
        str(ROOT / "playbooks/plan.yml"),
        "-e",
        f"plan_file={written}",
    ]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd=directory, env=clean, capture_output=True, text=True, check=False, timeout=300)
    return done, written


def test_a_table_is_shown_for_people(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    output = run[0].stdout
    assert "\ngood: 1 instance on" in output
    assert "\n    heap limit " in output
    (row,) = [line for line in output.partition("\ngood: ")[2].splitlines() if line.startswith("    heap limit ")][:1]
    assert row.split() == ["heap", "limit", "64M", "set"]


def test_contradictions_fail_their_host_alone(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    done = run[0]
    output = done.stdout + done.stderr
    assert done.returncode == 2
    for text in (
        "did you mean service_instances?",
        "2048M heap limit + 128M outside it = 2176M, of 1024M restart limit",
        "nginx_websocket_timeout = 60s (silent, inventory.json): must be above two heartbeats",
    ):
        assert text in output
    assert "fatal: [good]" not in output
    # What a plan does not need is not asked for.
    assert "release_directory" not in output


def test_the_plans_are_written_for_machines(run: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    plans = json.loads(run[1].read_text(encoding="utf-8"))
    assert list(plans) == ["good"]
    assert plans["good"]["instances"] == 1
    assert plans["good"]["parts"]["memory"]["instances"]["value"] == "1"
    assert isinstance(plans["good"]["notes"], list)
