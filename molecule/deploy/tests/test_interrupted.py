# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At each step of a deployment the controller is killed, or the host loses its power: the service is back by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deployments import ACTIVATE, Service, assert_unnoticed, load, release, wait
from edge import on_host
from hosts import HOST, cut_power

# Nothing has been started; the new release runs beside the old one; it serves while the old one drains; the old one is
# drained; it is gone.
STEPS = ("before_start", "before_switch", "after_switch", "before_stop", "after_stop")
SWITCHED = STEPS[STEPS.index("after_switch") :]
# Of the steps before the switch and of those after it; the others are repetitions.
KILLED_AT = ("before_switch", "after_switch", "after_stop")
CUT_AT = ("before_switch", "before_stop")
REACHED = "/srv/shop/shared/step"
# What runs on the host has a terminal, which goes away with the connection.
WITH_TERMINAL = {"ANSIBLE_PIPELINING": "false"}
BOOT_LIMIT = 60


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, shop: Service) -> list[str]:
    """Ids of two releases, both on the host. The first one is active; each test ends with the other one as the first.

    The ids are what the releases say of their version.
    """
    directory = tmp_path_factory.mktemp("releases")
    return [shop.bring(release(directory, name), release_version=name)[0] for name in ("next", "kept")][::-1]


def steps(always: Sequence[str]) -> list[Any]:
    return [pytest.param(step, marks=() if step in always else pytest.mark.soak) for step in STEPS]


@dataclass(frozen=True)
class Interrupted:
    """A deployment that rests at a step. A process of its own, ssh's ControlMaster, keeps Ansible's connection open."""

    running: subprocess.Popen[str]
    connections: Path

    def kill(self) -> None:
        """The controller is gone: Ansible dies at once and says nothing, and so does its connection."""
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.communicate()
        for path in self.connections.iterdir():
            # a power cut may have ended it
            subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", HOST], check=False)


Interrupt = Callable[[str, str, int], Interrupted]


@pytest.fixture
def interrupt(shop: Service, tmp_path_factory: pytest.TempPathFactory) -> Interrupt:
    def begin(release_id: str, step: str, seconds: int) -> Interrupted:
        """Begins a deployment that rests for that time at a step; returns once it has come to it."""
        shop.host.check_output(f"rm -f {REACHED}")
        connections = tmp_path_factory.mktemp("cp")
        variables = {
            "release_id": release_id,
            "release_made": False,
            "pm2_hooks": {step: [["/bin/sh", "-c", f"touch {REACHED}; exec sleep {seconds}"]]},
            "ansible_control_path_dir": str(connections),
        }
        running = shop.start("deploy", ACTIVATE, environment=WITH_TERMINAL, **variables)
        deadline = time.monotonic() + 120
        while not shop.host.file(REACHED).exists:
            assert running.poll() is None, wait(running).output
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return Interrupted(running, connections)

    return begin


@pytest.mark.parametrize("step", steps(KILLED_AT))
def test_a_killed_controller_ends_nothing(
    shop: Service, releases: list[str], address: str, interrupt: Interrupt, step: str
) -> None:
    """What has begun on the host is brought to its end there, and another run finds nothing to do."""
    before = shop.settled()
    with load(address, "--host=shop.test", "--connections=4") as tally:
        interrupt(releases[1], step, 2).kill()
        shop.until(lambda found: not found["locked"] and found["active"] != before["active"])
    releases.reverse()
    assert_unnoticed(tally)
    after = shop.settled()
    if step == STEPS[-1]:
        # the pause between the steps is not among its options any more
        assert "is active; put in order: the options kept for the next activation" in shop.activate(releases[0]).output
        assert shop.settled() == after
        assert not shop.activate(releases[0]).changed


def version(address: str) -> str:
    """Version of the release that answers through Nginx; empty when none does."""
    request = urllib.request.Request(f"{address}/health", headers={"Host": "shop.test"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2) as response:
            return str(json.load(response)["version"])
    except (OSError, urllib.error.HTTPError, ValueError):
        return ""


@pytest.mark.parametrize("step", steps(CUT_AT))
def test_after_a_power_cut_the_active_release_serves(
    shop: Service, releases: list[str], address: str, interrupt: Interrupt, step: str
) -> None:
    """The next run, here the one that is interrupted at the next step, removes what the one before has left."""
    old, new = releases
    interrupted = interrupt(releases[1], step, 60)
    found = shop.look()
    assert len({process["name"] for process in found["pm2"]} | set(found["declared"])) <= 2, found
    sockets = {name.rpartition("@")[0] for name in found["sockets"]}
    assert len({*sockets, *found["activations"], *found["units"]}) <= 2, found
    cut_power(shop.host)
    interrupted.kill()
    deadline = time.monotonic() + BOOT_LIMIT
    while not (serving := version(address)):
        assert time.monotonic() < deadline, f"no answer {BOOT_LIMIT} s after the host is back"
        time.sleep(0.5)
    assert serving == (new if step in SWITCHED else old)
    if step in SWITCHED:
        releases.reverse()


def test_the_run_after_the_power_cuts_is_clean(shop: Service, releases: list[str], address: str) -> None:
    shop.activate(releases[1])
    shop.settled()
    assert version(address) == releases[1]


def test_a_later_run_ends_the_lease_of_one_that_has_died(shop: Service) -> None:
    """The one that takes it here ends without a word, as one that is killed does."""
    lease = shop.host.file("/srv/shop/.deploy.lease")
    on_host("deploy_lease", {"directory": "/srv/shop", "run": "died"}).check_returncode()
    assert lease.exists
    shop.activate(str(shop.settled()["current"]))
    assert not lease.exists
