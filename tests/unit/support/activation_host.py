# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host for tests of the activation: systemd and PM2 are small stand-ins; files, sockets and processes are real."""

from __future__ import annotations

import fnmatch
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy import model
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import Health
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, Desired, Places
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import run
from ansible_collections.workbot.stability.plugins.module_utils._host import units
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import Ownership
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._pm2 import client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from fake_daemon import Daemon, apps_of

BOOT = "shop.service"
"""The unit that starts the active activation."""


@dataclass(eq=False)
class FakeSystemd:
    """Answers in the place of systemctl; the units of the service's activations are a Daemon each."""

    directory: Path
    run: Path
    daemons: dict[str, Daemon] = field(default_factory=dict)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of further units, and of those that failed."""
    told: list[tuple[str, str]] = field(default_factory=list)
    """All that was to be done."""
    refuses: set[str] = field(default_factory=set)
    """Verbs that fail."""
    journal: str = ""

    def quiet_run(self, argv: Sequence[str], *_rest: Any, **_named: Any) -> subprocess.CompletedProcess[str]:
        """In the place of the function of that name, for module units."""
        if argv[0] == "sh":
            # for the end of a unit's journal
            return subprocess.CompletedProcess(argv, 0, self.journal, "")
        assert argv[0] == "systemctl", argv
        verb, names = argv[1], [word for word in argv[2:] if not word.startswith("--")]
        if verb == "show":
            return subprocess.CompletedProcess(argv, 0, "\n".join(self._shown(names)), "")
        name = names[0] if names else ""
        self.told.append((verb, name))
        said = "it was refused" if verb in self.refuses else self._do(verb, name)
        return subprocess.CompletedProcess(argv, 1 if said else 0, "", said)

    def verbs(self, name: str) -> list[str]:
        """What was done to that unit."""
        return [verb for verb, unit in self.told if unit == name]

    def state(self, name: str) -> dict[str, str]:
        active = "active" if name in self.daemons or name == BOOT else "inactive"
        found = "loaded" if name in self.daemons or name.startswith("shop@") or name == BOOT else "not-found"
        plain = {"LoadState": found, "ActiveState": active, "UnitFileState": "disabled", "NeedDaemonReload": "no"}
        return {"Id": name, **plain, **self.states.get(name, {})}

    def _shown(self, names: Sequence[str]) -> Iterator[str]:
        loaded = [*self.daemons, *self.states]
        for name in names:
            # systemd says nothing of a pattern that matches no unit, and that there is none of any other name
            found = dict.fromkeys(fnmatch.filter(loaded, name)) if "*" in name else [name]
            for unit in found:
                yield "".join(f"{key}={value}\n" for key, value in self.state(unit).items())

    def _do(self, verb: str, name: str) -> str:
        """What went wrong."""
        if verb == "start":
            return self._start(name)
        if verb == "stop":
            self._stop(name)
        elif verb == "reset-failed":
            self.states.pop(name, None)
        elif verb == "disable":
            self.states[name]["UnitFileState"] = "disabled"
        return ""

    def _start(self, name: str) -> str:
        instance = name.partition("@")[2].removesuffix(".service")
        own = self.directory / "activations" / instance
        file, home = own / "ecosystem.config.cjs", self.run / f"shop@{instance}"
        node = own / "bin/node"
        self.states.pop(name, None)
        if not file.exists() or name in self.daemons:
            # ConditionPathExists of the unit
            return ""
        started = [(app, Path(app["cwd"], app["script"]).read_text(encoding="utf-8").split()) for app in apps_of(file)]
        if any(words == ["refuses"] for _app, words in started):
            self.states[name] = {"ActiveState": "failed"}
            self.journal = "[PM2][ERROR] no such script\n"
            return f"Job for {name} failed"
        self.daemons[name] = Daemon(home, str(node.resolve()))
        for app, words in started:
            self.daemons[name].start(app, words)
        return ""

    def _stop(self, name: str) -> None:
        if name in self.daemons:
            daemon = self.daemons.pop(name)
            daemon.stop()
            shutil.rmtree(daemon.home)
        if name in self.states:
            self.states[name]["ActiveState"] = "inactive"

    def end(self) -> None:
        for name in list(self.daemons):
            self._stop(name)


@dataclass(frozen=True, eq=False)
class FakePm2(Pm2Client):
    """The stand-in's commands; its processes are asked for as PM2's are."""

    systemd: FakeSystemd | None = None

    @property
    def missing(self) -> str:
        return ""

    def _daemon(self) -> Daemon:
        assert self.systemd
        return next(daemon for daemon in self.systemd.daemons.values() if daemon.home == self.home)

    def require_daemon(self) -> int:
        return os.getpid()

    def daemon_pid(self) -> int | None:
        return os.getpid() if (self.home / "pm2.pid").exists() else None

    def outdated_node(self) -> bool:
        return (self.home / "node").read_text() != str(Path(self.node).resolve())

    def as_user(self, argv: Any, *rest: Any, **named: Any) -> subprocess.CompletedProcess[bytes]:
        if argv[0] == "/usr/bin/test":
            # the service's user may read what anybody may
            return subprocess.CompletedProcess(argv, 0 if Path(argv[2]).stat().st_mode & 0o004 else 1, b"", b"")
        return super().as_user(argv, *rest, **named)

    def run(self, *arguments: str, stops: Iterable[Pm2Process] = ()) -> str:  # noqa: ARG002
        assert arguments[0] == "restart", arguments
        for number in map(int, arguments[1:]):
            self._daemon().restart(number)
        return ""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystemd]:
    found = FakeSystemd(tmp_path, tmp_path / "run")
    monkeypatch.setattr(units, "quiet_run", found.quiet_run)
    monkeypatch.setattr(model, "_RUN", found.run)
    # the daemons are threads of this very process, which may be large
    monkeypatch.setattr(client, "_GROWN_MB", 1 << 20)
    yield found
    found.end()


@pytest.fixture
def host(tmp_path: Path, systemd: FakeSystemd) -> Context:
    for name in ("releases", "run/shop", "config", "home", "activations", "units"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "config/environment").write_text("KEY=1\n")
    account = pwd.getpwuid(os.getuid())
    user = Identity(account.pw_name, account.pw_uid, account.pw_gid, account.pw_dir)
    return Context(
        tools=FakePm2(tmp_path / "active/pm2", "/usr/bin/pm2", "/usr/bin/node", None, 5, systemd),
        places=Places.below(tmp_path, "shop", tmp_path / "run/shop"),
        desired=Desired({"script": "server.js", "exec_mode": "cluster", "instances": 2}, hook_timeout=5, drain_time=1),
        health=Health("/health", answer_timeout=1, start_timeout=2, stay_up=0.2),
        user=user,
        config_ownership=Ownership(user.uid, user.gid, 0o640),
        kept="{}",
    )


def release(host: Context, name: str, program: str) -> None:
    host.places.release(name).mkdir()
    (host.places.release(name) / "server.js").write_text(program)


def desiring(host: Context, **changes: Any) -> Context:
    return replace(host, desired=replace(host.desired, **changes))


def deploy(host: Context, name: str, **desired: Any) -> Any:
    return run(desiring(host, release=name, deployer="me", **desired))


def daemons(host: Context) -> dict[str, Daemon]:
    """Those that run, by unit."""
    assert isinstance(host.tools, FakePm2)
    assert host.tools.systemd
    return host.tools.systemd.daemons


def processes(host: Context) -> list[tuple[str, int]]:
    """All of them, each with its app; the process id is 0 of one that has ended."""
    records = [
        child.record(number) for daemon in daemons(host).values() for number, child in sorted(daemon.children.items())
    ]
    return sorted((record["name"], record["pid"]) for record in records)


def running(host: Context) -> list[str]:
    """The apps that have processes."""
    return sorted({name for name, _pid in processes(host)})


def config(host: Context, name: str = "") -> str:
    """The ecosystem file of the activation of that name, or of the active one; "" where there is none."""
    activation = Activation.parse(name) if name else read_active(host.places)
    file = host.places.config_file(activation) if activation else None
    return file.read_text() if file and file.exists() else ""


def picture(host: Context) -> dict[str, Any]:
    """All that a deployment may change."""
    root = host.places.directory
    own = [path for path in root.glob("activations/*/*") if path.is_symlink()]
    kept = (".deploy.lock", ".processes.lock", ".deploy.history")
    files = [path for path in root.rglob("*") if "releases/" not in str(path) and path.name not in kept]
    return {
        "links": {path.name: path.readlink().name for path in root.iterdir() if path.is_symlink()},
        "sockets": {f"{path.parent.name}/{path.name}": path.readlink().name for path in own if path.suffix == ".sock"},
        "tools": {f"{path.parent.name}/{path.name}": path.readlink() for path in own if path.suffix != ".sock"},
        "files": sorted(str(path.relative_to(root)) for path in files if not path.is_symlink()),
        "config": config(host),
        "units": sorted(daemons(host)),
        "processes": processes(host),
    }


GOOD = "200 200"


@pytest.fixture
def served(host: Context) -> Context:
    """A host on which release `old` serves."""
    release(host, "old", GOOD)
    deploy(host, "old")
    return host
