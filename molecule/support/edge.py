# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site `edge` of the test host, in front of small servers that the tests start there, and its clients."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deployments import wait
from hosts import HOST, ROOT, SSH_CONFIG, playbook
from testinfra.host import Host

FIXTURES = ROOT / "molecule" / "nginx" / "fixtures"
CLIENT = (FIXTURES / "client.py").read_text(encoding="utf-8")
UPSTREAM = (FIXTURES / "upstream.py").read_text(encoding="utf-8")
WEBSOCKETS = (FIXTURES / "websockets.py").read_text(encoding="utf-8")
PORT = 8088
TLS_PORT = 8448
HOST_NAME = "edge.test"
VARIABLES: dict[str, Any] = {
    "service_name": "edge",
    "service_database_enabled": False,
    "service_required_secrets": [],
    "service_secrets": {},
    "nginx_server_names": [HOST_NAME],
    "nginx_port": PORT,
}

Answer = dict[str, Any]


def on_host(module: str, given: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """A module of the collection's, as a task of a playbook runs it."""
    command = ["ansible", "--inventory=molecule/inventory", "app", "--become"]
    command += [f"--module-name=workbot.stability.{module}", f"--args={json.dumps(given)}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@contextmanager
def upstreams(host: Host, servers: Mapping[int, str]) -> Iterator[None]:
    """Servers on these ports of the host; a word behind a port says what is wrong with it, see upstream.py."""
    units = [f"molecule-upstream-{port}" for port in servers]
    try:
        for (port, fault), unit in zip(servers.items(), units, strict=True):
            host.check_output("systemctl reset-failed %s 2>/dev/null || true", unit)
            host.check_output("systemd-run --quiet --unit=%s python3 -c %s %s " + fault, unit, UPSTREAM, str(port))
        for port in servers:
            await_port(host, port)
        yield
    finally:
        for unit in units:
            host.run("systemctl stop %s", unit)


def await_port(host: Host, port: int, limit: float = 10) -> None:
    deadline = time.monotonic() + limit
    while not host.socket(f"tcp://127.0.0.1:{port}").is_listening:
        assert time.monotonic() < deadline, f"nothing listens on port {port}"
        time.sleep(0.1)


def apply(variables: Mapping[str, Any], *options: str) -> str:
    """The role nginx with these variables; its output as one line, with the word `failed` in it if it failed."""
    run = wait(playbook("molecule/nginx/edge.yml", {**VARIABLES, **variables}, *options))
    return f"exit={run.code} {run.output}"


@dataclass(frozen=True)
class Edge:
    """The site as the tests see it."""

    host: Host
    defaults: dict[str, Any] = field(default_factory=dict)

    def serve(self, **variables: Any) -> str:
        """Serves the site with these variables, which must succeed."""
        output = apply({**self.defaults, **variables})
        assert output.startswith("exit=0 "), output
        return output

    def refuse(self, **variables: Any) -> str:
        """What is said to these variables, which must not be accepted."""
        output = apply({**self.defaults, **variables})
        assert not output.startswith("exit=0 "), output
        return output

    def converse(self, lists: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[Answer]]:
        """Asks from the host itself, list beside list, each over one connection."""
        document = [
            [{"port": PORT, **item, "headers": {"Host": HOST_NAME, **item.get("headers", {})}} for item in items]
            for items in lists
        ]
        output = self.host.check_output("python3 -c %s %s", CLIENT, json.dumps(document))
        answers: list[list[Answer]] = json.loads(output)
        return answers

    def ask(self, path: str, /, **request: Any) -> Answer:
        return self.converse([[{"path": path, **request}]])[0][0]

    def statuses(self, count: int, path: str, /, **request: Any) -> list[int]:
        """The statuses of as many requests, one after the other over one connection."""
        return [answer["status"] for answer in self.converse([[{"path": path, "times": count, **request}]])[0]]

    def stats(self, port: int) -> dict[str, Any]:
        """What the server behind Nginx was asked."""
        found: dict[str, Any] = json.loads(self.ask("/stats", port=port)["body"])
        return found

    def websockets(self, seconds: str, *sources: str) -> subprocess.Popen[str]:
        """WebSockets from these addresses of the host, see websockets.py."""
        words = ["python3", "-c", WEBSOCKETS, str(PORT), HOST_NAME, seconds, *sources]
        command = ["ssh", "-F", SSH_CONFIG, HOST, shlex.join(words)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def remove(self, name: str = "edge") -> None:
        """Takes the site, or another one, off the host."""
        run = on_host("nginx_site", {"name": name, "state": "absent"})
        assert run.returncode == 0, run.stdout + run.stderr


@contextmanager
def edge_site(host: Host, servers: Mapping[int, str], **defaults: Any) -> Iterator[Edge]:
    """The site before it is served, with these variables; servers as for upstreams(). Removed afterwards."""
    with upstreams(host, servers):
        site = Edge(host, defaults)
        try:
            yield site
        finally:
            site.remove()


def behind(*ports: int) -> list[dict[str, Any]]:
    """The variable nginx_upstream_servers for servers on these ports of the host."""
    return [{"host": "127.0.0.1", "port": port} for port in ports]


def secure(edge: Edge, path: str = "/page", **request: Any) -> Answer:
    return edge.ask(path, port=TLS_PORT, tls=HOST_NAME, **request)


def served(edge: Edge, field: str = "-serial") -> str:
    """What of the certificate a client is shown."""
    return shown(edge.host, TLS_PORT, HOST_NAME, field)


def shown(host: Host, port: int, name: str, field: str) -> str:
    """The same of any site."""
    command = f"openssl s_client -connect 127.0.0.1:{port} -servername {name} </dev/null 2>/dev/null"
    return str(host.check_output(f"{command} | openssl x509 -noout {field}"))
