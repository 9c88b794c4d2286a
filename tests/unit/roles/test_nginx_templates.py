# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role nginx's templates say for some variables; whether Nginx does so is the scenario's matter."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from ansible.plugins.filter.core import comment, regex_escape, regex_replace, to_bool
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.bodies import body_limits
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from places import ROOT

ROLE = ROOT / "roles/nginx"
DEFAULTS = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
DERIVED = yaml.safe_load((ROLE / "vars/main/main.yml").read_text(encoding="utf-8"))
# A row of a map by regular expression: `"~*pattern" value;`, where the star stands for upper and lower case alike.
ROW = re.compile(r'^ +"~(?P<star>\*?)(?P<pattern>.+)" (?P<value>\S+);$', re.MULTILINE)
DEFAULT = re.compile(r"^ +default (\S+);$", re.MULTILINE)
SITES: dict[str, dict[str, Any]] = {
    "__nginx_site": {
        "id": "shop",
        "own_health_paths": ["/api/health"],
        "directory": "services/shop",
        "zone_size": "4m",
        "client_requests": 1024,
        "bodies": body_limits(2048, "10M"),
        "unlimited_paths": ["/health", "/api/health", "/api/live/"],
        "siblings": [],
        "takes_every_name": False,
        "access_log": "/var/log/nginx/shop.access.log",
    },
    "__nginx_run": {
        "headers": [],
        "limits_websockets": False,
        "listens_on_ipv6": False,
        "pages": [],
        "redirects": False,
        "serves_tls": False,
    },
}
VARIABLES: dict[str, Any] = {
    **{name: value for name, value in DEFAULTS.items() if "{{" not in str(value)},
    "ansible_managed": "Ansible managed",
    "service_name": "shop",
    "service_health_path": "/api/health",
    "__nginx_maintenance": {},
    "__nginx_header_timeout": "10s",
    "nginx_cleared_headers": ["Forwarded", "X-Original-URL"],
    "service_routes": ["/", "/orders/:id/lines", "/files/*", "/a.b"],
    "service_websocket_paths": ["/ws", "/live/"],
}
SERVER: dict[str, Any] = {
    "nginx_gzip_types": [],
    "nginx_trusted_proxies": [],
    "nginx_upstream_servers": [],
    "nginx_rate_limits": [],
    "nginx_connect_timeout": "60s",
}
UPSTREAM: dict[str, Any] = {"nginx_upstream_servers": [], "nginx_upstream_keepalive": 32}
HTTP: dict[str, Any] = {
    "nginx_trusted_proxies": [],
}
SITE: dict[str, Any] = {
    "nginx_server_names": ["shop.test"],
    "nginx_acme_webroot": "",
}


def environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(ROLE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(
        {"bool": to_bool, "comment": comment, "regex_escape": regex_escape, "regex_replace": regex_replace}
    )
    return found


def render(name: str, **variables: Any) -> str:
    sites = {site: {**SITES[site], **variables.pop(site, {})} for site in SITES}
    return environment().get_template(f"{name}.j2").render({**VARIABLES, **variables, **sites})


def mapped(text: str, variable: str, value: str) -> str:
    """What the map of that variable makes of a value."""
    rows = text.partition(f" ${variable} {{\n")[2].partition("\n}")[0] + "\n"
    for row in ROW.finditer(rows):
        # What is \z in nginx's regular expressions is \Z in Python's.
        if re.search(row["pattern"].replace(r"\z", r"\Z"), value, re.IGNORECASE if row["star"] else 0):
            return row["value"]
    return DEFAULT.search(rows)[1]


def limited(request: str, sent: str = "", **limit: Any) -> bool:
    """Whether such a request, `METHOD /path`, counts for the limit; `sent` is its path as it was sent, if not that."""
    limits = [{"name": "some", "requests": 10, "window": 10, "rate": 60, **limit}]
    text = render("limits.conf", __nginx_site={"limits": limits})
    exempt = mapped(text, "shop_exempt", sent or request.partition(" ")[2])
    return mapped(text, "shop_limit_some", f"{exempt} {request}") == "$shop_limited_client"


@pytest.mark.parametrize("request_line", ["POST /login", "POST /LOGIN", "POST /login/"])
def test_a_path_is_limited_however_routers_let_it_be_written(request_line: str) -> None:
    assert limited(request_line, paths=["/login"], methods=["POST"])


@pytest.mark.parametrize("request_line", ["GET /login", "POST /login/x", "POST /logins", "POST /x/login"])
def test_another_path_or_method_is_not(request_line: str) -> None:
    assert not limited(request_line, paths=["/login"], methods=["POST"])


@pytest.mark.parametrize("request_line", ["GET /api/things", "GET /api/health\n", "GET /api/health/x", "GET /api/live"])
def test_what_only_resembles_an_unlimited_path_is_limited(request_line: str) -> None:
    assert limited(request_line, paths=["/api/"])


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/orders/17/lines", "/orders/:id/lines"),
        ("/orders/17/lines/", "/orders/:id/lines"),
        ("/orders/17/2/lines", "other"),
        ("/orders//lines", "other"),
        ("/files/a/b.png", "/files/*"),
        ("/a.b", "/a.b"),
        ("/axb", "other"),
        ("/ORDERS/17/lines", "other"),
    ],
)
def test_a_request_has_the_route_that_it_fits(path: str, route: str) -> None:
    assert mapped(render("http.conf", **HTTP), "shop_route", path).strip('"') == route


@pytest.mark.parametrize("request_line", ["GET /api/health", "GET /api/live/a", "GET /page"])
def test_unlimited_paths_are_not_limited(request_line: str) -> None:
    assert not limited(request_line, paths=["/api/"])


@pytest.mark.parametrize("sent", ["/api/health/", "/api/%68ealth", "/api//health", "/API/health", "/api/health%3f"])
def test_only_the_very_path_of_health_is_not_limited(sent: str) -> None:
    assert limited("GET /api/health", sent, paths=["/api/"])


@pytest.mark.parametrize("sent", ["/api/health?x", "/api/health", "/api/live/a?b"])
def test_a_query_makes_no_other_path(sent: str) -> None:
    assert not limited(f"GET {sent.partition('?')[0]}", sent, paths=["/api/"])


@pytest.mark.parametrize(
    ("sent", "ambiguous"),
    [
        *(
            (path, "1")
            for path in ("//a/api/x", "/a/../b", "/a/%2E%2e/b", "/a%2F.%2fb", "/..", "/a/.?x", "/a\\b", "/a#b")
        ),
        *(
            (path, "0")
            for path in (
                "/",
                "/a//b",
                "/a/..b",
                "/a../b",
                "/...",
                "/a%2Fb",
                "/a%5C..%5Cb",
                "/a?b=/../c#d",
                "/%252e%252e/",
            )
        ),
    ],
)
def test_what_services_may_read_otherwise(sent: str, ambiguous: str) -> None:
    assert mapped(render("http.conf", **HTTP), "shop_ambiguous", sent) == ambiguous


@pytest.mark.parametrize("websocket", [False, True])
def test_an_open_websocket_is_no_request_of_its_client(websocket: bool) -> None:
    text = render("limits.conf", __nginx_site={"limits": []})
    key = "" if not websocket else "websocket"
    assert mapped(text, "shop_asking_client", f"{key} /ws") == ('""' if websocket else "$shop_limited_client")
    assert mapped(text, "shop_asking_client", f"{key} /ws/x") == "$shop_limited_client"


def test_headers_that_clients_could_forge_are_cleared() -> None:
    text = render("proxy.conf", connection='""', upgrade='""')
    assert [line for line in text.splitlines() if line.endswith(' "";')] == [
        'proxy_set_header Connection "";',
        'proxy_set_header Upgrade "";',
        'proxy_set_header Forwarded "";',
        'proxy_set_header X-Original-URL "";',
    ]


@pytest.mark.parametrize("tls", [False, True])
def test_the_server_for_unknown_hosts_tells_no_version(tls: bool) -> None:
    text = render(
        "unknown-hosts.conf",
        listen=80,
        tls=tls,
        nginx_tls_profile="modern",
        __nginx_intermediate_ciphers="",
        __nginx_curves="",
        nginx_tls_port=443,
    )
    assert "    server_tokens off;\n" in text


def test_the_question_for_health_has_neither_a_body_nor_its_length() -> None:
    """Else the service would take the next request on the connection, another client's, for the body."""
    text = render("server.conf", nginx_snippets={"http": "", "server": ""}, **SERVER)
    location = text.partition("location = /.shop-health {")[2].partition("}")[0]
    assert "    proxy_pass_request_body off;\n" in location
    assert '    proxy_set_header Content-Length "";\n' in location
    # A location with one proxy_set_header of its own has none of the server's.
    assert "    include services/shop/proxy.conf;\n" in location


def test_answers_take_little_of_the_root_disk() -> None:
    """Said once for all locations: none that asks the service says anything else."""
    text = render("server.conf", nginx_snippets={}, **SERVER) + render("locations.conf", nginx_websocket_timeout="1h")
    assert [line for line in text.splitlines() if "temp_file" in line] == ["proxy_max_temp_file_size 4m;"]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["_"], ""),
        (["b.test", "a.test", "c.test"], "b.test"),
        (["_", "b.test", "a.test"], "b.test"),
        (["*.test"], "www.test"),
    ],
)
def test_the_name_for_questions_is_the_same_in_every_run(names: list[str], first: str) -> None:
    question = environment().from_string(DERIVED["nginx_health_host_name"])
    assert question.render(nginx_server_names=names) == first


@pytest.mark.parametrize("context", ["http", "server"])
def test_a_snippet_alone_needs_no_other(context: str) -> None:
    snippets = {context: "# mine"}
    included = render("site.conf", nginx_snippets=snippets, **SITE) + render(
        "server.conf", nginx_snippets=snippets, **SERVER
    )
    assert [name for name in ("http", "server") if f"snippet-{name}.conf" in included] == [context]


@pytest.mark.parametrize(("value", "dry"), [("no", False), (False, False), ("yes", True), (True, True)])
def test_a_text_of_the_command_line_is_what_it_says(value: str | bool, dry: bool) -> None:
    limits = [{"name": "some", "requests": 10}]
    variables = {**SERVER, "nginx_rate_limits": limits, "nginx_rate_limit_dry_run": value, "nginx_snippets": {}}
    assert ("limit_req_dry_run on;" in render("server.conf", **variables)) == dry


@pytest.mark.parametrize("overlap", [True, False])
def test_each_worker_s_socket_is_a_server_of_its_own(overlap: bool) -> None:
    """A refused one is tried again by the next request, and requests wait where nothing else is left."""
    paths = {"active": "/srv/shop/active", "hold_socket": "/srv/shop/hold.sock"}
    plan = {"instances": 3}
    text = render("upstream.conf", service_plan=plan, service_paths=paths, service_overlap=overlap, **UPSTREAM)
    servers = [line.strip() for line in text.splitlines() if line.strip().startswith("server ")]
    own = [f"server unix:/srv/shop/active/{number}.sock max_fails=0;" for number in range(3)]
    assert servers == [*own, *([] if overlap else ["server unix:/srv/shop/hold.sock max_fails=0 backup;"])]
    assert "    least_conn;\n" in text


def test_only_websockets_leave_no_request_lines_in_the_error_log() -> None:
    locations = render("locations.conf", nginx_websocket_timeout="1h").split("\nlocation ")[1:]
    silent = [text.split(" {")[0] for text in locations if "error_log /var/log/nginx/shop.error.log emerg;" in text]
    assert silent == ["= /ws", "^~ /live/", "@shop_websocket_bodiless"]


@pytest.mark.parametrize(
    ("request_line", "kind", "way"),
    [
        ("::HTTP/1.1:GET", "", ""),
        ("::HTTP/1.1:POST", "", ""),
        (":0:HTTP/1.1:POST", "", ""),
        (":9999:HTTP/1.1:POST", "", ""),
        (":10000:HTTP/1.1:POST", "small", ""),
        (":99999:HTTP/2.0:GET", "small", ""),
        (":100000:HTTP/1.1:PUT", "medium", ""),
        (":1000000:HTTP/1.1:POST", "large", ""),
        (":0001000:HTTP/1.1:POST", "large", ""),
        ("chunked::HTTP/1.1:GET", "large", ""),
        ("::HTTP/2.0:POST", "large", ""),
        ("::HTTP/3.0:PATCH", "large", ""),
        ("::HTTP/2.0:PROPFIND", "large", ""),
        ("::HTTP/2.0:GET", "", "bodiless"),
        ("::HTTP/3.0:DELETE", "", "bodiless"),
    ],
)
def test_a_body_counts_as_what_its_header_says(request_line: str, kind: str, way: str) -> None:
    """Transfer-Encoding, Content-Length, protocol and method."""
    text = render("limits.conf", __nginx_site={"limits": []})
    assert mapped(text, "shop_body", request_line).strip('"') == kind
    assert mapped(text, "shop_way", f" {request_line}").strip('"') == way
    assert mapped(text, "shop_way", f"close {request_line}") == "closing"


@pytest.mark.parametrize("limits", [True, False])
def test_no_location_is_without_the_limits_of_bodies(limits: bool) -> None:
    """One that has a limit_conn of its own has none of the server's."""
    variables = {"nginx_websocket_max_per_address": 50, "nginx_error_retry_after": 5}
    run = {"limits_websockets": limits, "websockets": 400}
    text = render("locations.conf", nginx_websocket_timeout="1h", __nginx_run=run, **variables)
    server = render("server.conf", nginx_snippets={}, **SERVER)
    wanted = [line for line in server.splitlines() if re.search("limit_conn .*(senders|bodies)", line)]
    assert len(wanted) == 5
    for location in text.split("\nlocation ")[1:]:
        assert ("limit_conn " in location) == all(f"    {line}\n" in location for line in wanted), location
