# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host for tests of the activation: PM2 is a small stand-in; files, sockets and processes are real."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import Health
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Desired, Places
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import run
from ansible_collections.workbot.stability.plugins.module_utils._host.atomic import Ownership
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process

# A worker: answers with its status on a socket of its own, or on one that all share; "deaf"
# never accepts, "mute" never listens, "exit" ends at once. It ends after as many answers as it is told, and as soon as
# there is a file `die` in its release. A line says that it listens.
WORKER = """
import os, pathlib, socket, sys, time
status, answers, release, own = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4]
if status == "exit":
    sys.exit()
if own:
    server = socket.socket(socket.AF_UNIX)
    if status != "mute":
        beside = own.removesuffix("sock") + str(os.getpid())
        server.bind(beside)
        server.listen(8)
        os.rename(beside, own)
else:
    server = socket.socket(fileno=0)
server.settimeout(0.05)
print(flush=True)
while answers and not (release / "die").exists():
    if status in ("deaf", "mute"):
        time.sleep(0.05)
        continue
    try:
        connection, _ = server.accept()
    except TimeoutError:
        continue
    with connection:
        connection.settimeout(2)
        body = b'{"status": "ok"}'
        try:
            connection.recv(65536)
            head = f"HTTP/1.1 {status} X\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
            connection.sendall(head.encode() + body)
        except OSError:
            continue
    answers -= 1
    time.sleep(0.02)
"""
SETTINGS = ("node_args", "env", "filter_env", "instance_var", "NODE_APP_INSTANCE")
FIRST = "@0.sock"
"""What the path ends with by which PM2's app names the sockets of its workers."""


@dataclass(frozen=True, eq=False)
class FakePm2(Pm2Client):
    """Starts what an ecosystem file says: one process of WORKER for each word of the release's file `server.js`."""

    children: dict[int, tuple[str, subprocess.Popen[bytes], dict[str, Any]]] = field(default_factory=dict)

    @property
    def missing(self) -> str:
        return ""

    def require_daemon(self) -> int:
        return os.getpid()

    def daemon_pid(self) -> int | None:
        return os.getpid()

    def outdated_node(self) -> bool:
        return False

    def as_user(self, argv: Any, *_rest: Any, **_named: Any) -> subprocess.CompletedProcess[bytes]:
        if argv[0] == "/usr/bin/test":
            # the service's user may read what anybody may
            return subprocess.CompletedProcess(argv, 0 if Path(argv[2]).stat().st_mode & 0o004 else 1, b"", b"")
        text = Path(argv[2]).read_text(encoding="utf-8")
        (app,) = json.loads(text.partition("module.exports = ")[2].rstrip().removesuffix(";"))["apps"]
        assert app["name"] == argv[4]
        words = Path(app["cwd"], app["script"]).read_text(encoding="utf-8").split()
        if words == ["refuses"]:
            return subprocess.CompletedProcess(argv, 1, b"", b"[PM2][ERROR] no such script")
        self._start(app, words)
        return subprocess.CompletedProcess(argv, 0, b"", b"")

    def _start(self, app: dict[str, Any], words: list[str]) -> None:
        path, started = app["env"]["PORT"], []
        own = path.endswith(FIRST)
        with socket.socket(socket.AF_UNIX) as shared:
            if not own:
                shared.bind(path)
                shared.listen(8)
            for instance, word in enumerate(words):
                status, _sign, answers = word.partition("#")
                socket_of = f"{path.removesuffix(FIRST)}@{instance}.sock" if own else ""
                argv = [sys.executable, "-S", "-c", WORKER, status, answers or "-1", app["cwd"], socket_of]
                child = subprocess.Popen(argv, stdin=shared.fileno(), stdout=subprocess.PIPE)
                variable = app.get("instance_var", "NODE_APP_INSTANCE")
                settings = {**app, "instance_var": variable, variable: instance}
                self.children[max(self.children, default=-1) + 1] = (app["name"], child, settings)
                started.append(child)
        for child in started:
            assert child.stdout is not None
            with child.stdout:
                child.stdout.readline()

    def starting(self, processes: Iterable[Pm2Process]) -> set[int]:  # noqa: ARG002
        return set()

    def processes(self) -> list[Pm2Process]:
        return [
            Pm2Process(
                name,
                number,
                child.pid if child.poll() is None else None,
                "online" if child.poll() is None else "errored",
                0,
                time.time(),
                settings={
                    **{key: app[key] for key in (*SETTINGS, app["instance_var"]) if key in app},
                    "pm_exec_path": f"{app['cwd']}/{app['script']}",
                    "pm_cwd": app["cwd"],
                    "exec_mode": "cluster_mode",
                },
            )
            for number, (name, child, app) in self.children.items()
        ]

    def run(self, *arguments: str, stops: Iterable[Pm2Process] = ()) -> str:  # noqa: ARG002
        if arguments[0] == "delete":
            for number in map(int, arguments[1:]):
                _name, child, _app = self.children.pop(number)
                child.kill()
                child.wait()
        elif arguments[0] == "save":
            (self.home / "dump.pm2").write_text(json.dumps([process.settings for process in self.processes()]))
        return ""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Context]:
    for name in ("releases", "run", "config/environments", "home", "sockets"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "config/environment").write_text("KEY=1\n")
    account = pwd.getpwuid(os.getuid())
    user = Identity(account.pw_name, account.pw_uid, account.pw_gid, account.pw_dir)
    client = FakePm2(home=tmp_path / "home", pm2="/usr/bin/pm2", node="/usr/bin/node", user=None, timeout=5)
    yield Context(
        client=client,
        places=Places.below(tmp_path, "shop", tmp_path / "run"),
        desired=Desired({"script": "server.js", "exec_mode": "cluster", "instances": 2}, hook_timeout=5, drain_time=1),
        health=Health("/health", answer_timeout=1, start_timeout=2, stay_up=0.2),
        user=user,
        config_ownership=Ownership(user.uid, user.gid, 0o640),
    )
    for _name, child, _app in client.children.values():
        child.kill()
        child.wait()


def release(host: Context, name: str, program: str) -> None:
    host.places.release(name).mkdir()
    (host.places.release(name) / "server.js").write_text(program)


def desiring(host: Context, **changes: Any) -> Context:
    return replace(host, desired=replace(host.desired, **changes))


def deploy(host: Context, name: str, **desired: Any) -> Any:
    return run(desiring(host, release=name, deployer="me", **desired))


def picture(host: Context) -> dict[str, Any]:
    """All that a deployment may change."""
    root = host.places.releases.parent
    files = [path for path in root.rglob("*") if "releases/" not in str(path) and path.name != ".deploy.lock"]
    return {
        "links": {path.name: path.readlink().name for path in root.iterdir() if path.is_symlink()},
        "sockets": {f"{path.parent.name}/{path.name}": path.readlink().name for path in root.glob("sockets/*/*")},
        "files": sorted(str(path.relative_to(root)) for path in files if not path.is_symlink()),
        "config": host.places.config_file.read_text() if host.places.config_file.exists() else "",
        "processes": sorted((process.name, process.pid or 0) for process in host.client.processes()),
    }


GOOD = "200 200"


@pytest.fixture
def served(host: Context) -> Context:
    """A host on which release `old` serves."""
    release(host, "old", GOOD)
    deploy(host, "old")
    return host
