# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gixy, the checker that our users would run, says to the whole configuration of the host: nginx -T."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge import Edge, behind, edge_site
from gixy_report import findings, is_seen, unexplained
from testinfra.host import Host

PORTS = (9141, 9142, 9143)
SITES = ("workbot", "shop", "edge")


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    with edge_site(host, dict.fromkeys(PORTS, ""), nginx_upstream_servers=behind(*PORTS)) as site:
        yield site


VARIANTS: dict[str, dict[str, Any]] = {
    "http": {},
    "https": {"nginx_tls_enabled": True, "nginx_tls_port": 8449, "nginx_tls_self_signed": True, "nginx_tls_hsts": 1000},
    "everything": {
        "nginx_trusted_proxies": ["10.0.0.0/8"],
        "nginx_health_networks": ["10.1.0.0/16"],
        "nginx_rate_limit_allow": ["10.2.0.0/16"],
        "nginx_rate_limits": [{"name": "all", "paths": ["/"], "methods": ["POST"], "requests": 5, "window": 60}],
        "nginx_upstream_method": "least_conn",
        # the last one is longer than Nginx's own table has room for
        "nginx_server_names": ["edge.test", "*.edge.test", f"{'edge-' * 8}0123456789.eu-central-1.elb.example.com"],
        "service_websocket_paths": ["/ws", "/live/"],
        "__nginx_maintenance": {"since": "now", "reason": "", "retry_after": 600, "allow": ["10.3.0.0/16"]},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_gixy_finds_nothing_that_is_not_explained(edge: Edge, tmp_path: Path, variant: str) -> None:
    edge.serve(**VARIANTS[variant])
    found = findings(edge.host, tmp_path)
    assert unexplained(found) == []
    assert [name for name in SITES if is_seen(name, found)] == list(SITES)


def test_a_careless_snippet_is_found(edge: Edge, tmp_path: Path) -> None:
    careless = {"http": "", "server": "location /files { alias /srv/files/; }"}
    edge.serve(nginx_snippets=careless)
    assert "alias_traversal" in {item["plugin"] for item in unexplained(findings(edge.host, tmp_path))}
