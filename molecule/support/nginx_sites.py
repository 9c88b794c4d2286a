# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the nginx of the test host by the module alone, and clients who notice what the change does to them."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hosts import HOST, ROOT, container_of, podman
from testinfra.host import Host

CONFIG = "/etc/nginx"
STATE = "/var/lib/nginx_site"
JOURNAL = f"{STATE}/.journal.json"
PAUSE = 0.05
# Which files there are, with owner, mode and content; and who works with them.
FILES = (
    "cd / && find etc/nginx var/lib/nginx_site run/nginx_site"
    " -type f -printf '%M %u ' -exec sha256sum {} \\; -o -printf '%M %u %p -> %l\\n' 2>/dev/null | sort"
)
WORKERS = "pgrep -u www-data nginx"
TRIAL = "conf.d/molecule-trial.conf"


def site(*lines: str, head: str = "", **options: Any) -> dict[str, Any]:
    """The options of a small site: what stands before its server, and lines within that."""
    answer = "location = / { default_type text/plain; return 200 'old\\n'; }"
    server = "\n".join(f"    {line}" for line in ("listen 80;", "server_name trial.test;", answer, *lines))
    own = {"path": TRIAL, "content": f"{head}server {{\n{server}\n}}\n"}
    return {"name": "trial", **options, "files": [own, *options.get("files", [])]}


def start(options: Mapping[str, Any], *flags: str) -> subprocess.Popen[str]:
    """The module, running as a task of a playbook runs it."""
    command = ["ansible", "--inventory=molecule/inventory", "app", "--become", "--diff", *flags]
    return subprocess.Popen(
        [*command, "--module-name=workbot.stability.nginx_site", f"--args={json.dumps(options)}"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def result_of(running: subprocess.Popen[str], limit: float = 90) -> dict[str, Any]:
    """What the module returned; `shown` is everything that a user sees."""
    output, _none = running.communicate(timeout=limit)
    head, found, answer = output.partition(" => {")
    assert found, output
    result, _end = json.JSONDecoder().raw_decode("{" + answer)
    return {**result, "failed": "FAILED!" in head, "shown": output}


def nginx_site(*flags: str, **options: Any) -> dict[str, Any]:
    return result_of(start(options, *flags))


def applied(*flags: str, **options: Any) -> dict[str, Any]:
    """A change that must succeed."""
    result = nginx_site(*flags, **options)
    assert not result["failed"], result["shown"]
    return result


def refused(*flags: str, **options: Any) -> str:
    """What the module says to a change that it must not make."""
    result = nginx_site(*flags, **options)
    assert result["failed"], result["shown"]
    return str(result["msg"])


def answer(address: str, path: str, host: str = "trial.test") -> str:
    """What the site says there, whatever the status."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    connection.request("GET", path, headers={"Host": host, "Connection": "close"})
    return connection.getresponse().read().decode()


def files(host: Host) -> str:
    """Every file of nginx and of the module on the host."""
    return str(host.check_output(FILES))


@contextmanager
def mounted(directory: str, options: str) -> Iterator[None]:
    """A small file system at a directory of the host, from outside: the host itself may not mount any."""

    def run(*command: str) -> None:
        podman("exec", "--privileged", container_of(HOST), *command)

    run("mkdir", "-p", directory)
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", directory)
    try:
        yield
    finally:
        run("umount", directory)
        run("rmdir", "--ignore-fail-on-non-empty", directory)


@dataclass
class Clients:
    """Ask steadily, for each host name one over a kept connection and one over a new connection each time.

    Nginx closes kept connections when a worker retires, and a request may just be on its way then. Clients ask again
    over a new connection when nothing of an answer has come: that is no failure (RFC 9112, section 9.3.1).
    """

    address: str
    expected: Mapping[tuple[str, str], str]
    """What the answers must contain, by host name and path."""
    answers: int = 0
    renewed: int = 0
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> http.client.HTTPConnection:
        where = urlsplit(self.address)
        return http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)

    def keep_asking(self, kept: bool, host: str, path: str) -> None:
        connection = self.connect()
        while not self.over.is_set():
            used = connection.sock is not None
            try:
                self.ask(connection, host, path, kept)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                connection.close()
                self.note(renewed=True) if used else self.note(f"{host}{path}: {error!r}")
                continue
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.note(f"{host}{path}: {error!r}")
            if not kept:
                connection.close()
            self.over.wait(PAUSE)
        connection.close()

    def ask(self, connection: http.client.HTTPConnection, host: str, path: str, kept: bool) -> None:
        connection.request("GET", path, headers={"Host": host, "Connection": "keep-alive" if kept else "close"})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        good = answer.status == http.HTTPStatus.OK and self.expected[host, path] in body
        self.note("" if good else f"{host}{path}: status {answer.status}, {body[:200]!r}")

    def note(self, failure: str = "", renewed: bool = False) -> None:
        with self.lock:
            self.renewed += renewed
            self.answers += not renewed and not failure
            if failure:
                self.failures.append(f"{time.time():.2f} {failure}")

    def assert_answered(self, before: int) -> None:
        """Each was answered, and there have been some since then."""
        assert self.failures == []
        assert self.answers > before + len(self.expected)


@contextmanager
def clients(address: str, expected: Mapping[tuple[str, str], str]) -> Iterator[Clients]:
    asking = Clients(address, expected)
    threads = [
        threading.Thread(target=asking.keep_asking, args=(kept, *where)) for where in expected for kept in (True, False)
    ]
    for thread in threads:
        thread.start()
    try:
        yield asking
    finally:
        asking.over.set()
        for thread in threads:
            thread.join()
