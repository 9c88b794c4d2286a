# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/3, asked by curl: Debian's Nginx and curl have it from 13 on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge import HOST_NAME, TLS_PORT, VARIABLES, Edge, apply, behind, edge_site, secure
from testinfra.host import Host

BEHIND = 9131
WANTED = {"nginx_tls_http3": True}


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {"nginx_tls_enabled": True, "nginx_tls_port": TLS_PORT, "nginx_tls_self_signed": True}
    with edge_site(host, {BEHIND: ""}, nginx_upstream_servers=behind(BEHIND), **variables) as site:
        site.serve()
        yield site


def curl(host: Host, *options: str, name: str = HOST_NAME) -> str:
    """The protocol and the status of an answer over HTTP/3 and nothing else."""
    words = ["curl", "--silent", "--insecure", "--http3-only", "--max-time", "5", "--output", "/dev/null", *options]
    address = f"--resolve {name}:{TLS_PORT}:127.0.0.1 https://{name}:{TLS_PORT}/page"
    return str(host.run(f"{' '.join(words)} --write-out '%{{http_version}} %{{http_code}}' {address}").stdout)


def test_debian_12_says_that_it_is_too_old(edge: Edge) -> None:
    if edge.host.system_info.release != "12":
        pytest.skip("Debian 13 has it: the next test")
    assert "nginx_tls_http3 = true (workbot-test): needs Nginx 1.25.1 or newer" in edge.refuse(**WANTED)


def test_it_is_served_by_one_variable_and_gone_without_it(edge: Edge) -> None:
    if edge.host.system_info.release == "12":
        pytest.skip("its Nginx is too old: the test before")
    edge.host.check_output("apt-get install --quiet --yes --no-install-recommends curl")
    assert curl(edge.host) == "0 000"
    assert "alt-svc" not in secure(edge)["headers"]
    edge.serve(**WANTED)
    assert "changed=0 " in edge.serve(**WANTED)
    assert curl(edge.host) == "3 200"
    # its other connections are of other workers
    assert {curl(edge.host) for _again in range(20)} == {"3 200"}
    assert curl(edge.host, name="unknown.test") == "0 000"
    assert secure(edge)["headers"]["alt-svc"] == [f'h3=":{TLS_PORT}"; ma=86400']
    assert "warn" not in edge.host.run("nginx -t").stderr
    edge.serve()
    assert curl(edge.host) == "0 000"
    assert not edge.host.socket(f"udp://0.0.0.0:{TLS_PORT}").is_listening


def test_a_second_site_shares_the_port(edge: Edge) -> None:
    if edge.host.system_info.release == "12":
        pytest.skip("its Nginx is too old: the first test")
    other = {**VARIABLES, **edge.defaults, "service_name": "other", "nginx_server_names": ["other.test", "_"]}
    edge.serve(**WANTED)
    try:
        output = apply({**other, **WANTED})
        assert output.startswith("exit=0 "), output
        assert curl(edge.host) == "3 200"
        assert curl(edge.host, name="other.test") == "3 200"
        assert curl(edge.host, name="unknown.test") == "3 200"
        edge.serve()
        assert curl(edge.host, name="other.test") == "3 200"
    finally:
        edge.remove("other")
