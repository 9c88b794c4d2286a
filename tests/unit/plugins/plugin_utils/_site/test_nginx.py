# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role nginx, on tables of inventories and hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._site.nginx import Nginx
from ansible_collections.workbot.stability.plugins.plugin_utils._site.nginx_run import NginxNotes, NginxRun

PLAIN: dict[str, Any] = {
    "ansible_facts": {},
    "groups": {},
    "hostvars": {},
    "inventory_hostname": "shop1",
    "nginx_acme_email": "",
    "nginx_acme_webroot": "/var/www/shop-acme",
    "nginx_body_limit": "10M",
    "nginx_client_max_requests": "auto",
    "nginx_drained": {},
    "nginx_error_retry_after": 5,
    "nginx_hardening": True,
    "nginx_health_path": "/health",
    "nginx_ipv6": "auto",
    "nginx_limit_clients": 32000,
    "nginx_port": "80",
    "nginx_rate_limits": [{"name": "api", "paths": ["/api/"], "requests": 300, "window": 10}],
    "nginx_security_headers": {"x-b": "1", "A-c": "", "A-d": "2"},
    "nginx_server_names": ["_"],
    "nginx_server_names_hash_bucket_size": 0,
    "nginx_snippets": {"http": "", "server": "# mine"},
    "nginx_tls_certificate": "",
    "nginx_tls_certificate_file": "",
    "nginx_tls_enabled": False,
    "nginx_tls_hsts": "auto",
    "nginx_tls_http2": True,
    "nginx_tls_http3": False,
    "nginx_tls_key_file": "",
    "nginx_tls_port": 443,
    "nginx_tls_profile": "intermediate",
    "nginx_tls_redirect": True,
    "nginx_tls_self_signed": False,
    "nginx_upstream_keepalive": 64,
    "nginx_upstream_servers": [],
    "nginx_variables_hash_max_size": 4096,
    "nginx_websocket_max_connections": "auto",
    "nginx_websocket_max_per_address": 50,
    "nginx_worker_connections": 8192,
    "nginx_worker_rlimit_nofile": "auto",
    "service_debian": {"nginx": "1.26"},
    "service_health_path": "/api/health",
    "service_instances": "max",
    "service_name": "shop",
    "service_plan": {"cores": 2, "instances": 2},
    "service_websocket_max_connections": 1000,
    "service_websocket_paths": ["/ws"],
    "__nginx_fleet": {"is_behind": False},
    "__nginx_maintenance": {},
}
ACME = {
    "nginx_acme_email": "ops@example.com",
    "nginx_server_names": ["shop.test", "*.shop.test"],
    "nginx_tls_enabled": "yes",
}
HOST = {"ipv6": True, "version": "1.26.3", "in_use": False, "texts": {}}


def nginx(**variables: Any) -> Nginx:
    return Nginx({**PLAIN, **variables}.__getitem__)


def run(**variables: Any) -> NginxRun:
    return NginxRun(
        {**PLAIN, "__nginx_site": nginx(**variables).known(), "__nginx_host": HOST, **variables}.__getitem__
    )


@pytest.mark.parametrize(
    ("requests", "window", "rate", "pause"),
    [(10, 10, 60, 1), ("3", "100", 1, 34), (1, 61, 0, 61), (100, 7, 857, 1), (60, 60, 60, 1)],
)
def test_a_limit_has_its_rate_and_the_pause_until_the_next_request(
    requests: Any, window: Any, rate: int, pause: int
) -> None:
    [limit] = nginx(nginx_rate_limits=[{"name": "api", "requests": requests, "window": window}]).limits
    assert limit == {"name": "api", "requests": requests, "window": window, "rate": rate, "pause": pause}


@pytest.mark.parametrize(
    ("variables", "websockets", "files"),
    [
        ({}, 2000, 16384),
        ({"nginx_worker_connections": "768"}, 576, 4096),
        ({"nginx_websocket_max_connections": "0", "nginx_worker_rlimit_nofile": "0"}, 0, 0),
        ({"nginx_upstream_servers": [{"host": "a"}, {"host": "b"}]}, 4000, 16384),
        ({"service_plan": {"cores": 2, "instances": 0}}, 8000, 16384),
        ({"service_plan": {"cores": 2, "instances": 0}, "service_instances": "3"}, 3000, 16384),
    ],
)
def test_a_proxys_limits_fit_its_connections(variables: dict[str, Any], websockets: int, files: int) -> None:
    assert (run(**variables).websockets, nginx(**variables).worker_rlimit_nofile) == (websockets, files)
    assert nginx(**variables).bodies[-1] == {"name": "large_bodies", "kind": "large", "connections": 51}


@pytest.mark.parametrize(
    ("registered", "serves"),
    [
        ({}, True),
        ({"__nginx_lineage": {"present": False}}, False),
        ({"__nginx_lineage": {"present": False}, "__nginx_order": {"reasons": ["new"], "certificate": "live"}}, True),
        ({"__nginx_lineage": {"present": False}, "__nginx_order": {"present": True, "certificate": "other"}}, False),
    ],
)
def test_until_a_certificate_is_issued_plain_http_serves(registered: dict[str, Any], serves: bool) -> None:
    order = registered.get("__nginx_order", {})
    if order.get("certificate") == "live":
        registered = {**registered, "__nginx_order": {**order, "certificate": nginx(**ACME).certificate}}
    site = run(**ACME, **registered)
    assert (site.serves_tls, site.redirects, len(site.certificates)) == (serves, serves, int(serves))
    assert ("Strict-Transport-Security" in site.headers) == serves
    assert [probe.get("tls", False) for probe in site.probes] == [False, False, *([True, True] if serves else [False])]


def test_without_tls_a_site_has_its_files_and_takes_every_name() -> None:
    site = run()
    assert [file["path"] for file in site.files[-3:]] == [
        f"services/shop/{name}.conf" for name in ("proxy", "websocket", "snippet-server")
    ]
    assert [file["path"] for file in site.shared_files] == ["conf.d/00-variables.conf"]
    assert site.headers == ["A-d", "x-b", "X-Request-Id"]


@pytest.mark.parametrize(("version", "http2"), [("1.22.1", " http2"), ("1.25.1", ""), ("", "")])
def test_http2_is_asked_for_as_the_version_has_it(version: str, http2: str) -> None:
    site = run(__nginx_host={**HOST, "version": version}, service_debian={"nginx": "1.26"})
    assert (site.listen_http2, site.http2_directive) == (http2, not http2)


def test_what_is_noted_counts_for_servers_that_are_still_there_and_not_behind_proxies() -> None:
    texts = {
        "services/shop/drained.json": '{"app2": "a new kernel", "gone": "the same"}',
        "services/shop/maintenance.json": '{"since": "now", "reason": "a move", "retry_after": 60}',
    }
    variables = {**PLAIN, "__nginx_host": {**HOST, "texts": texts}, "nginx_upstream_servers": [{"name": "app2"}, {}]}
    notes = NginxNotes(variables.__getitem__)
    assert notes.drained == {"app2": "a new kernel"}
    site = run(__nginx_maintenance=notes.maintenance)
    assert site.maintenance_said.startswith("The maintenance page is on here since now, a move; back with")
    assert [page["retry_after"] for page in site.pages] == [1, 5, 60]
    assert "services/shop/maintenance.json" in {file["path"] for file in site.files}
    assert NginxNotes({**variables, "__nginx_fleet": {"is_behind": True}}.__getitem__).maintenance == {}
