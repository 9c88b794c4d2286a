# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference service is deployed under load, with its watchdog on: nobody notices, and a broken one is refused.

What else may happen to a deployment is in the scenario deploy.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from deployments import FROM_RELEASE, Service, assert_unnoticed, load, wait
from hosts import ROOT
from testinfra.host import Host

SOURCE = ROOT / "examples/workbot"
METHODS = ("GET",)
LOAD = ("--path=/health", f"--methods={','.join(METHODS)}", "--connections=8", "--websockets=20")
DRAIN_TIME = 8
# It dies at once, and PM2 tries ten times; on a busy machine the first try alone takes ten seconds.
IMPATIENT = {"pm2_listen_timeout": 25, "pm2_start_timeout": 30}
GOING_AWAY = 1001
BROKEN = "if (process.pid) throw new Error('the list of robots can not be read');\n"


@pytest.fixture(scope="module")
def workbot(host: Host) -> Service:
    return Service("workbot", host)


def release(directory: Path, version: str, first: str = "") -> str:
    """A copy of the service with a version of its own, and what it does first."""
    source = directory / version
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("node_modules", "dist", "test"))
    manifest = source / "package.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}), encoding="utf-8")
    server = source / "src/server.ts"
    server.write_text(first + server.read_text(encoding="utf-8"), encoding="utf-8")
    return str(source)


def test_a_release_is_deployed_and_nobody_notices(workbot: Service, address: str, tmp_path: Path) -> None:
    before = workbot.settled()
    with load(address, *LOAD) as tally:
        workbot.deploy(release_directory=release(tmp_path, "1.0.1"), pm2_drain_time=DRAIN_TIME)
    assert_unnoticed(tally, (GOING_AWAY,), METHODS)
    assert {entry["code"] for entry in tally["closed"]} == {GOING_AWAY}
    after = workbot.settled()
    assert after["current"] != before["current"]
    assert after["previous"] == before["current"]


def test_a_broken_one_changes_nothing_and_is_named(workbot: Service, address: str, tmp_path: Path) -> None:
    before = workbot.settled()
    source = release(tmp_path, "1.0.2", BROKEN)
    with load(address, *LOAD) as tally:
        run = wait(workbot.start("deploy", FROM_RELEASE, release_directory=source, **IMPATIENT))
    assert run.code == 2, run.output
    assert "the list of robots can not be read" in run.output
    assert f"Release {before['current']} is active as before and answers healthily" in run.output
    assert_unnoticed(tally, (), METHODS)
    assert workbot.settled() == before


def test_the_former_release_is_back_by_a_rollback(workbot: Service) -> None:
    before = workbot.settled()
    run = wait(workbot.start("rollback", pm2_drain_time=1))
    assert run.code == 0, run.output
    assert workbot.settled()["current"] == before["previous"]
