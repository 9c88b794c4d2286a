# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploying a service of the test host, under load, and what is then on the host."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts import ROOT, playbook
from testinfra.host import Host

DRIVER = ROOT / "tests" / "load" / "load_driver.py"
SOURCE = ROOT / "molecule" / "deploy" / "fixtures" / "shop"
LOOK = (Path(__file__).parent / "look.py").read_text(encoding="utf-8")
VARIABLES = "--extra-vars=@molecule/deploy/vars/shop.yml"
# Where the host is set up: the tasks of deploy.yml from the last one of its role `service` on.
FROM_ENVIRONMENT = "--start-at-task=Create the user, the directories*"
# Where nothing but the release changes: the tasks of deploy.yml from its role `release` on, half of the time.
FROM_RELEASE = "--start-at-task=Put the release on the host*"
# Where the release is on the host as well: its activation alone, which is what these tests look at.
ACTIVATE = "--start-at-task=Activate the release*"


# For deployments that nobody is to notice or not: without clients there is nothing to wait for.
AT_ONCE: dict[str, Any] = {"pm2_drain_time": 1, "pm2_stay_up": 0}


@dataclass(frozen=True)
class Run:
    """A playbook that has ended: its exit code, and what it printed as one line."""

    code: int
    output: str

    @property
    def changed(self) -> bool:
        return "changed=0 " not in self.output


def wait(running: subprocess.Popen[str], limit: float = 600) -> Run:
    output, _none = running.communicate(timeout=limit)
    return Run(running.returncode, " ".join(output.split()))


@dataclass(frozen=True)
class Service:
    """A service of the host. `options` bring its variables, where they are not those of the inventory."""

    name: str
    host: Host
    options: tuple[str, ...] = ()

    def start(
        self,
        name: str = "deploy",
        /,
        *options: str,
        environment: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> subprocess.Popen[str]:
        """A playbook on the service, running."""
        return playbook(f"workbot.stability.{name}", variables, *self.options, *options, environment=environment)

    def deploy(self, *options: str, **variables: Any) -> Run:
        """A deployment that must succeed."""
        run = wait(self.start("deploy", *options, **variables))
        assert run.code == 0, run.output
        return run

    def activate(self, release_id: str, **variables: Any) -> Run:
        """A deployment, which must succeed, of a release that is on the host, without the tasks that find it there."""
        return self.deploy(ACTIVATE, release_id=release_id, release_made=False, **variables)

    def bring(self, *sources: str, **variables: Any) -> list[str]:
        """Deploys releases that nothing looks at yet, one after the other; their ids."""
        ids = []
        for source in sources:
            self.deploy(FROM_RELEASE, release_directory=source, **AT_ONCE, **variables)
            ids.append(str(self.settled()["current"]))
        return ids

    def look(self) -> dict[str, Any]:
        """What is on the host of it: see look.py."""
        found: dict[str, Any] = json.loads(self.host.check_output("python3 -c %s %s", LOOK, self.name))
        return found

    def settled(self) -> dict[str, Any]:
        """The same, where one activation must be all that there is: running, declared and linked."""
        found = self.look()
        active = found["active"]
        app = f"{self.name}-{active}"
        assert {process["name"] for process in found["pm2"]} == {app}, found
        assert {process["status"] for process in found["pm2"]} == {"online"}, found
        assert found["declared"] == [app], found
        assert found["sockets"] == [f"{active}@{number}.sock" for number in range(len(found["pm2"]))], found
        assert found["units"] == found["activations"] == [active], found
        assert found["current"] == active.partition("@")[0], found
        assert found["previous"] in ["", *found["releases"]], found
        assert not found["locked"], found
        return found

    def until(self, that: Callable[[dict[str, Any]], bool], limit: float = 60) -> dict[str, Any]:
        """What is on the host as soon as `that` holds."""
        deadline = time.monotonic() + limit
        while not that(found := self.look()):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found


def release(directory: Path, version: str, fault: str = "", worker: int | None = None, **package: Any) -> str:
    """The source of a release of the shop: a copy of the fixture that says its version, and may be broken."""
    source = directory / f"shop-{version}"
    shutil.copytree(SOURCE, source)
    manifest = json.loads((source / "package.json").read_text(encoding="utf-8"))
    (source / "package.json").write_text(json.dumps({**manifest, "version": version, **package}), encoding="utf-8")
    wrong = {"kind": fault} | ({} if worker is None else {"worker": worker})
    (source / "fault.json").write_text(json.dumps(wrong if fault else {}), encoding="utf-8")
    return str(source)


@contextmanager
def load(address: str, *options: str) -> Iterator[dict[str, Any]]:
    """Steady load from here on; the tally is there when the load is over."""
    driver = subprocess.Popen([sys.executable, DRIVER, address, *options], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    tally: dict[str, Any] = {}
    try:
        assert driver.stdout.readline() == "ready\n"
        yield tally
    finally:
        driver.send_signal(signal.SIGINT)
        output, _none = driver.communicate(timeout=60)
    assert driver.returncode == 0
    tally.update(json.loads(output))


def assert_unnoticed(
    tally: Mapping[str, Any], closed: tuple[int, ...] = (), methods: tuple[str, ...] = ("GET", "POST")
) -> None:
    """No client noticed anything, except WebSockets that were closed with one of these codes."""
    assert tally["failed"] == 0, tally["failures"]
    assert tally["statuses"].keys() == {"200"}, tally["statuses"]
    assert min(tally["requests"][method] for method in methods) > 10, tally["requests"]
    assert [entry for entry in tally["closed"] if entry["code"] not in closed] == []
