# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service that runs under something else: found by its port, pid file or unit, and asked process by process."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks import external_service as existing_service
from ansible_collections.workbot.stability.plugins.module_utils._checks.external_service import Existing, read_existing
from ansible_collections.workbot.stability.plugins.module_utils._checks.workers import ANSWERED, HUNG, ask_workers
from ansible_collections.workbot.stability.plugins.module_utils._host import processes as host_processes
from ansible_collections.workbot.stability.plugins.module_utils._host.processes import ProcessError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.process import Pm2Process
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import ABSENT, WELL, DaemonReading
from forks import forks

CLIENT = Pm2Client(Path("/nonexistent"), "/nonexistent/pm2", "/nonexistent/node", None, 1)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def start(listening: socket.socket) -> Iterator[Callable[[], int]]:
    """Starts processes that share the port; returns each one's id."""

    def serve() -> None:
        server = HTTPServer(listening.getsockname(), Answers, bind_and_activate=False)
        server.socket = listening
        server.serve_forever()

    with forks() as one:
        yield lambda: one(serve)


def test_the_process_is_the_one_that_listens_on_the_port(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    reading = read_existing(Existing("process", f"http://127.0.0.1:{port}/health"), CLIENT, 1)
    assert reading.state == WELL
    assert [(process.pid, process.status) for process in reading.processes] == [(os.getpid(), "online")]
    listening.close()
    reading = read_existing(Existing("process", f"http://127.0.0.1:{port}/health"), CLIENT, 1)
    assert (reading.state, reading.processes) == (ABSENT, ())
    assert f"nothing listens on port {port}" in reading.message


def test_a_pid_file_goes_before_the_port(tmp_path: Path) -> None:
    file = tmp_path / "shop.pid"
    file.write_text(f"{os.getppid()}\n")
    (process,) = read_existing(Existing("process", "http://127.0.0.1:1", pid_file=str(file)), CLIENT, 1).processes
    assert (process.name, process.pid) == ("shop.pid", os.getppid())


def test_a_unit_tells_its_main_process_and_its_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"shop.service": {"LoadState": "loaded", "MainPID": str(os.getpid()), "NRestarts": "4"}}
    monkeypatch.setattr(host_processes, "unit_states", lambda names, _seconds: {name: states[name] for name in names})
    shop = Existing("systemd", "http://127.0.0.1:1", unit="shop.service")
    (process,) = read_existing(shop, CLIENT, 1).processes
    assert (process.name, process.pid, process.restarts) == ("shop.service", os.getpid(), 4)
    states["shop.service"] = {"LoadState": "loaded", "MainPID": "0", "ActiveState": "failed"}
    reading = read_existing(shop, CLIENT, 1)
    assert reading.state == ABSENT
    assert "shop.service is failed" in reading.message


def test_of_a_pm2_only_the_named_app_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    two = tuple(Pm2Process(name, number, 10 + number, "online", 0, 1.0) for number, name in enumerate(["a", "b"]))
    monkeypatch.setattr(existing_service, "read_daemon", lambda *_arguments: DaemonReading(WELL, "", 1, two))
    shop = Existing("pm2", "http://127.0.0.1:1", app="b", pm2_home="/home/app/.pm2")
    assert [process.name for process in read_existing(shop, CLIENT, 1).processes] == ["b"]


def test_a_process_that_has_gone_is_told() -> None:
    with pytest.raises(ProcessError, match="has just ended"):
        existing_service._process("shop", 2**22 + 1)


def test_the_one_of_two_processes_behind_a_port_that_hangs_is_named(
    listening: socket.socket, start: Callable[[], int]
) -> None:
    pids = [start(), start()]
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/health"
    assert {answer.pid for answer in ask_workers(url, pids, 2.0)} == set(pids)
    os.kill(pids[0], signal.SIGSTOP)
    answers = ask_workers(url, pids, 1.0)
    assert {answer.pid for answer in answers if answer.kind == ANSWERED} <= {pids[1]}
    os.kill(pids[1], signal.SIGSTOP)
    answers = ask_workers(url, pids, 0.5)
    assert {answer.kind for answer in answers} == {HUNG}
    assert answers[0].reading.error.startswith("127.0.0.1:")
