# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for PM2's daemon: it starts real processes, and tells of them in PM2's language."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axon import answering

# A worker: answers with its status on a socket of its own, or on one that all share; "deaf" never accepts, "mute" never
# listens, nor does "busy", which works, "exit" ends at once, "forks" has a process of its own answer 200. It ends after
# as many answers as it is told, and as soon as there is a file `die` in its release. A line says that it listens.
WORKER = """
import os, pathlib, socket, sys, time
status, answers, release, own = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]), sys.argv[4]
parent = os.getppid()
if status == "exit":
    sys.exit()
if status == "forks":
    status, parent = "200", os.getpid()
    if os.fork():
        os.wait()
        sys.exit()
if own:
    server = socket.socket(socket.AF_UNIX)
    if status not in ("mute", "busy"):
        beside = own.removesuffix("sock") + str(os.getpid())
        server.bind(beside)
        server.listen(8)
        os.rename(beside, own)
else:
    server = socket.socket(fileno=0)
server.settimeout(0.05)
print(flush=True)
while answers and os.getppid() == parent and not (release / "die").exists():
    if status == "busy":
        continue
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


@dataclass
class Child:
    """One process of a daemon."""

    app: dict[str, Any]
    word: str
    process: subprocess.Popen[bytes]
    begun: float

    def record(self, number: int) -> dict[str, Any]:
        """As the daemon tells of it."""
        runs = self.process.poll() is None
        settings = {key: self.app[key] for key in (*SETTINGS, self.app["instance_var"]) if key in self.app}
        return {
            "name": self.app["name"],
            "pm_id": number,
            "pid": self.process.pid if runs else 0,
            "pm2_env": {
                **settings,
                "status": "online" if runs else "errored",
                "pm_uptime": self.begun * 1000,
                "pm_exec_path": f"{self.app['cwd']}/{self.app['script']}",
                "pm_cwd": self.app["cwd"],
                "exec_mode": "cluster_mode",
            },
        }


class Daemon:
    """Starts what an ecosystem file says: one process of WORKER for each word of the release's file `server.js`.

    It tells of them on the socket in its home, in PM2's language.
    """

    def __init__(self, home: Path, node: str) -> None:
        self.home = home
        self.children: dict[int, Child] = {}
        home.mkdir(parents=True, exist_ok=True)
        (home / "pm2.pid").write_text(str(os.getpid()))
        (home / "node").write_text(node)
        self._answers = contextlib.ExitStack()
        self._answers.enter_context(answering(home / "rpc.sock", self._records))

    def _records(self) -> list[dict[str, Any]]:
        return [child.record(number) for number, child in sorted(self.children.items())]

    def start(self, app: dict[str, Any], words: Sequence[str]) -> None:
        path = app["env"]["PORT"]
        own = path.endswith(FIRST)
        with socket.socket(socket.AF_UNIX) as shared:
            if not own:
                shared.bind(path)
                shared.listen(8)
            variable = app.get("instance_var", "NODE_APP_INSTANCE")
            started = [
                self._spawn({**app, "instance_var": variable, variable: instance}, word, None if own else shared)
                for instance, word in enumerate(words)
            ]
        for child in started:
            self.children[len(self.children)] = child
            self._await(child)

    def restart(self, number: int) -> None:
        """From its program as it is now."""
        child = self.children[number]
        self._end(child)
        words = Path(child.app["cwd"], child.app["script"]).read_text(encoding="utf-8").split()
        self.children[number] = self._spawn(child.app, words[child.app[child.app["instance_var"]]], None)
        self._await(self.children[number])

    def stop(self) -> None:
        for child in self.children.values():
            self._end(child)
        self._answers.close()
        for name in ("pm2.pid", "node", "rpc.sock"):
            (self.home / name).unlink(missing_ok=True)

    @staticmethod
    def _spawn(app: dict[str, Any], word: str, shared: socket.socket | None) -> Child:
        status, _sign, answers = word.partition("#")
        path = app["env"]["PORT"].removesuffix(FIRST)
        own = "" if shared else f"{path}@{app[app['instance_var']]}.sock"
        argv = [sys.executable, "-S", "-c", WORKER, status, answers or "-1", app["cwd"], own]
        stdin = shared.fileno() if shared else subprocess.DEVNULL
        return Child(app, word, subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE), time.time())

    @staticmethod
    def _await(child: Child) -> None:
        """Until it listens, or has ended."""
        assert child.process.stdout is not None
        with child.process.stdout:
            child.process.stdout.readline()

    @staticmethod
    def _end(child: Child) -> None:
        child.process.kill()
        child.process.wait()


def apps_of(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    apps: list[dict[str, Any]] = json.loads(text.partition("module.exports = ")[2].rstrip().removesuffix(";"))["apps"]
    return apps
