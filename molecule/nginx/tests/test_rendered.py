# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gixy, the checker that our users would run, says to the whole configuration of the host: nginx -T."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge import Edge, behind, edge_site
from testinfra.host import Host

PORTS = (9141, 9142, 9143)
SITES = ("workbot", "shop", "edge")
# Findings that are no mistake, by the name of gixy's check: words of the configuration, and why.
EXPLAINED = {
    # The way from the health location to a constant answer, after auth_request has asked the service. The file that is
    # looked for is never there; one look at a directory for each health request from outside is no load.
    "try_files_is_evil_too": ("/health",),
    # Debian 12's own nginx.conf, for servers that do not say it themselves; each of ours does.
    "weak_ssl_tls": ("ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;", "ssl_prefer_server_ciphers on;"),
}


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    with edge_site(host, dict.fromkeys(PORTS, ""), nginx_upstream_servers=behind(*PORTS)) as site:
        yield site


def findings(host: Host, directory: Path) -> list[dict[str, Any]]:
    """What gixy finds above low in the configuration as it is on the host."""
    dump = directory / "nginx.conf"
    dump.write_text(host.check_output("nginx -T 2>/dev/null"), encoding="utf-8")
    run = subprocess.run(["gixy", "--format=json", "-ll", dump], capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def unexplained(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in found if not any(part in item["config"] for part in EXPLAINED.get(item["plugin"], ()))]


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
    # The check reads our sites, each of them: what is explained of them is found.
    shown = "".join(item["config"] for item in found)
    assert [name for name in SITES if f"/.{name}-none" in shown] == list(SITES)


def test_a_careless_snippet_is_found(edge: Edge, tmp_path: Path) -> None:
    careless = {"http": "", "server": "location /files { alias /srv/files/; }"}
    edge.serve(nginx_snippets=careless)
    assert "alias_traversal" in {item["plugin"] for item in unexplained(findings(edge.host, tmp_path))}
