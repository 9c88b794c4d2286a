# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that are wrong end the run with their names, and the host is left as it was."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

Processes = dict[str, set[tuple[str, str, str]]]

ROOT = Path(__file__).resolve().parents[3]
SECRETS = ROOT / "molecule/inventory/.secrets"
WEAK = "hunter2-of-molecule"

# Prints one line for each thing that a run could change: files with owner, mode, time and content, users, packages.
# The PM2 daemon writes its log whenever it likes.
SNAPSHOT = textwrap.dedent(
    """
    set -eu
    find /etc /srv /opt /usr/local ! -path '*/home/pm2.log' \\
      -printf '%M %u:%g %TY-%Tm-%Td %TT %p -> %l\\n'
    find /etc /srv /opt /usr/local -type f ! -path '*/home/pm2.log' -print0 | xargs -0 sha256sum
    getent passwd
    getent group
    dpkg-query --show
    """
)

# Variables -> what the output says about them.
BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "misspelled": ({"service_databse_name": "x"}, ["service_databse_name", "did you mean service_database_name?"]),
    "unknown": ({"nginx_frobnicate": True}, ["nginx_frobnicate"]),
    "type": ({"service_websocket_heartbeat": "abc"}, ["service_websocket_heartbeat = abc", "expected a whole number"]),
    "choice": ({"service_mode": "prod"}, ["service_mode = prod", "expected one of production, development"]),
    "fraction": ({"service_heap_limit": "1.5G"}, ["service_heap_limit = 1.5G", "a whole number followed by K, M or G"]),
    "zero": ({"service_instances": 0}, ["service_instances = 0", "expected a whole number, 1 to"]),
    "negative": ({"service_pool_max": -1}, ["service_pool_max = -1", "expected a whole number, 1 to"]),
    "port": ({"nginx_port": 70000}, ["nginx_port = 70000", "expected a port, 1 to 65535"]),
    "name": ({"service_name": "../x"}, ["service_name = ../x", "expected "]),
    "path": ({"service_directory": "/srv/../etc"}, ["service_directory = /srv/../etc", "an absolute path without .."]),
    "unset secret": (
        {"service_secrets": {}},
        ["service_secrets.JWT_SECRET", "is missing: service_required_secrets asks for it"],
    ),
    "weak secret": (
        {"service_secrets": {"JWT_SECRET": WEAK}},
        ["service_secrets.JWT_SECRET", f"has {len(WEAK)} characters, at least 32 are needed"],
    ),
    "no release": ({"release_directory": "/nowhere"}, ["release_directory = /nowhere", "a directory that exists"]),
}


def refused(directory: Path, variables: dict[str, Any]) -> str:
    """The output, as one line, of a run of the playbook that must fail."""
    (directory / "bad.json").write_text(json.dumps(variables), encoding="utf-8")
    command = ["ansible-playbook", "--inventory=molecule/inventory", "--diff", "playbooks/site.yml"]
    run = subprocess.run(
        [*command, "--extra-vars", f"@{directory / 'bad.json'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 2, output  # a host failed; anything else would be a playbook that can't run at all
    return " ".join(output.split())


def secrets() -> list[str]:
    """Every secret of the inventory, as the files hold it."""
    found = [path.read_text(encoding="utf-8").split()[0] for path in SECRETS.iterdir()]
    assert len(found) >= 2
    return found


@pytest.fixture(scope="module", autouse=True)
def untouched(host: Host, service_processes: Callable[[], Processes]) -> Iterator[None]:
    """Files, users, packages and processes are after all the runs what they were before the first."""
    before = host.check_output(SNAPSHOT).splitlines(), service_processes()
    assert len(before[0]) > 1000
    yield
    after = host.check_output(SNAPSHOT).splitlines(), service_processes()
    assert sorted(set(after[0]) ^ set(before[0])) == []
    assert after[1] == before[1]


# The two are values of one variable.
@pytest.mark.parametrize("left_out", ["unset secret", "weak secret"])
def test_all_that_is_wrong_is_told_at_once_and_nothing_runs(left_out: str, tmp_path: Path) -> None:
    cases = [case for name, case in BAD.items() if name != left_out]
    output = refused(tmp_path, {name: value for variables, _texts in cases for name, value in variables.items()})
    assert [text for _variables, texts in cases for text in texts if text not in output] == [], output
    assert "changed=0" in output
    assert not any(secret in output for secret in [*secrets(), WEAK])
