# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers are asked over a real socket; the kernel tells who has taken a connection."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._worker_answers import ask_workers, children_of

NO_PROCESS = 2**22 + 1


class Health(http.server.BaseHTTPRequestHandler):
    body: dict[str, int]
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        content = json.dumps(self.body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    name = str(tmp_path / "socket")
    with Server(name, Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield name
        server.shutdown()


@pytest.fixture(autouse=True)
def well() -> None:
    Health.body, Health.delay = {"pid": 4711}, 0.0


def test_the_body_names_the_worker(path: str) -> None:
    (answer,) = ask_workers(path, "/health", 1, [4711], 5)
    assert (answer.pid, answer.reading.body) == (4711, {"pid": 4711})


def test_without_its_word_the_kernel_names_it(path: str) -> None:
    Health.body = {}
    (answer,) = ask_workers(path, "/health", 1, [os.getpid()], 5)
    assert answer.pid == os.getpid()


def test_a_worker_that_is_not_seen_is_asked_for_again(path: str) -> None:
    Health.body = {}
    answers = ask_workers(path, "/health", 2, [os.getpid(), NO_PROCESS], 5)
    assert len(answers) > 2
    assert {answer.pid for answer in answers} == {os.getpid()}


def test_the_time_covers_everything(path: str) -> None:
    Health.delay = 30
    started = time.monotonic()
    answers = ask_workers(path, "/health", 2, [4711], 0.4)
    assert time.monotonic() - started < 2
    assert [answer.reading.error for answer in answers] == [f"{path}: no answer within 0.4 s"] * 2


def test_a_slow_answer_is_measured_from_the_connection_on(path: str) -> None:
    Health.delay = 0.2
    (answer,) = ask_workers(path, "/health", 1, [4711], 5)
    assert answer.elapsed_ms >= 200


def test_no_socket_is_told(tmp_path: Path) -> None:
    (answer,) = ask_workers(str(tmp_path / "none"), "/health", 1, [], 1)
    assert answer.pid is None
    assert "there is no such socket" in answer.reading.error


@pytest.mark.parametrize("content", ["", "x", "1", "4194305"])
def test_a_pid_file_of_another_program_names_no_workers(content: str, tmp_path: Path) -> None:
    (tmp_path / "pm2.pid").write_text(content)
    assert children_of(tmp_path / "pm2.pid") == []
    assert children_of(tmp_path / "none") == []
