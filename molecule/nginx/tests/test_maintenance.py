# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maintenance page, on and off by its playbook: who gets it, who does not, and what leaves it where it is."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from deployments import assert_unnoticed, load
from edge import HOST_NAME, TLS_PORT, VARIABLES, Answer, Edge, behind, edge_site
from hosts import playbook, put
from nginx_sites import answer, files
from testinfra.host import Host
from waiting import BUSY, until

BEHIND, NOBODY = 9131, 9139
NOTE = "/etc/nginx/services/edge/maintenance.json"
LOCK = "/run/nginx_site.lock"
HOLDERS = f"readlink /proc/[0-9]*/fd/* 2>/dev/null | grep --count --line-regexp {LOCK}"
CHALLENGE = "/.well-known/acme-challenge/token"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
SAID = "The maintenance page is on here since"
ON = {"maintenance_state": "on"}


@pytest.fixture(scope="module")
def edge(host: Host) -> Iterator[Edge]:
    variables = {
        "nginx_port": 80,
        "nginx_upstream_servers": behind(BEHIND),
        "nginx_health_networks": [],
        "nginx_snippets": {"server": f"location = /mine {{ proxy_pass http://127.0.0.1:{NOBODY}; }}"},
        "service_websocket_paths": ["/ws"],
    }
    with edge_site(host, {BEHIND: ""}, **variables) as site:
        site.serve()
        yield site


@pytest.fixture(scope="module")
def outside(host: Host) -> str:
    """An address of the host that is not its loopback: what asks it comes from there."""
    return str(host.check_output("hostname -I")).split()[0]


def run(name: str, variables: Mapping[str, Any], *options: str, inventory: str = "") -> tuple[int, str]:
    running = playbook(
        f"workbot.stability.{name}", variables, *options, **{"inventory": inventory} if inventory else {}
    )
    output, _none = running.communicate(timeout=600)
    return running.returncode, " ".join(output.split())


def turn(edge: Edge, state: str, *options: str, **variables: Any) -> str:
    given = {"nginx_reload_announce": 0, **VARIABLES, **edge.defaults, "maintenance_state": state, **variables}
    code, output = run("maintenance", given, *options)
    assert code == 0, output
    return output


def ask(edge: Edge, outside: str, path: str = "/page", **request: Any) -> Answer:
    return edge.ask(path, **{"address": outside, "port": 80, **request})


def forwarded(edge: Edge, address: str, client: str) -> int:
    return int(ask(edge, address, headers={"X-Forwarded-For": client})["status"])


@contextmanager
def asked(edge: Edge, outside: str) -> Iterator[list[Answer]]:
    """A client who may not see the service asks all the time, over a connection of its own each time."""
    over, answers = threading.Event(), list[Answer]()
    request = {"path": "/page", "address": outside, "port": 80, "times": 20, "headers": {"Connection": "close"}}

    def go_on() -> None:
        while not over.is_set():
            answers.extend(edge.converse([[request]])[0])

    with ThreadPoolExecutor() as threads:
        asking = threads.submit(go_on)
        try:
            yield answers
        finally:
            over.set()
        asking.result()


def test_check_mode_predicts_it_and_changes_nothing(edge: Edge, outside: str) -> None:
    before = files(edge.host)
    output = turn(edge, "on", "--check", "--diff", maintenance_reason="a new database")
    assert "changed=1 " in output
    assert '"reason": "a new database"' in output
    assert files(edge.host) == before
    assert ask(edge, outside)["status"] == 200


def test_what_another_run_has_decided_meanwhile_stays(edge: Edge) -> None:
    """Whoever has the lock that both want has read the note earlier than it is written."""
    host, others = edge.host, json.dumps({"since": "now", "reason": "another", "retry_after": 1, "allow": []})
    host.check_output("systemd-run --quiet --collect --unit=molecule-lock flock %s sleep 300", LOCK)
    given = {"nginx_reload_announce": 0, **VARIABLES, **edge.defaults, "maintenance_state": "on"}
    running = playbook("workbot.stability.maintenance", given)
    try:
        # flock has it, and what it runs
        until("it waits for the lock", lambda: int(host.run(HOLDERS).stdout) > 2, limit=BUSY)
        put(host, NOTE, others)
        host.check_output("systemctl stop molecule-lock")
        output, _none = running.communicate(timeout=600)
        assert running.returncode != 0
        assert f"{NOTE} has changed since this run read it" in " ".join(output.split())
        assert host.file(NOTE).content_string == others
    finally:
        running.kill()
        host.run("systemctl stop molecule-lock; rm -f %s", NOTE)


def test_everybody_gets_the_page_but_the_host_itself(edge: Edge, outside: str) -> None:
    assert "changed=1 " in turn(edge, "on", maintenance_retry_after=120)
    page = ask(edge, outside)
    headers = page["headers"]
    assert page["status"] == 503
    assert (headers["retry-after"], headers["cache-control"]) == (["120"], ["no-store"])
    assert headers["x-frame-options"] == ["SAMEORIGIN"]
    assert "Down for maintenance" in page["body"]
    assert headers["x-request-id"][0] in page["body"]
    told = ask(edge, outside, headers={"Accept": "application/json"})
    assert (told["status"], told["headers"]["retry-after"]) == (503, ["120"])
    assert json.loads(told["body"])["error"] == "the service is down for maintenance, try again later"
    assert ask(edge, outside, "/ws", headers=UPGRADE)["status"] == 503
    assert ask(edge, outside, "/api/x", method="POST", body="x" * 100_000)["status"] == 503
    assert ask(edge, outside, "/mine")["status"] == 503
    assert forwarded(edge, outside, "127.0.0.1") == 503
    for own in ("127.0.0.1", "::1"):
        assert ask(edge, own)["status"] == 200
    assert "The service does not answer right now" in ask(edge, "127.0.0.1", "/mine")["body"]
    assert ask(edge, "127.0.0.1", "/ws", headers=UPGRADE)["status"] == 101
    assert "changed=0 " in turn(edge, "on", maintenance_retry_after=120)
    assert "changed=1 " in turn(edge, "off")
    assert ask(edge, outside)["status"] == 200
    assert not edge.host.file(NOTE).exists
    assert "changed=0 " in turn(edge, "off")


def test_health_and_challenges_are_answered(edge: Edge, outside: str) -> None:
    put(edge.host, f"/var/www/edge-acme{CHALLENGE}", "mine")
    turn(edge, "on")
    for path in ("/health", "/api/health", "/API/health/"):
        assert (ask(edge, outside, path)["status"], ask(edge, outside, path)["body"]) == (200, "ok\n")
    assert ask(edge, outside, "/api/health/x")["status"] == 503
    assert ask(edge, outside, CHALLENGE)["body"] == "mine"
    # where it is that of the service's front page
    turn(edge, "on", service_health_path="/")
    assert ask(edge, outside, "/")["status"] == 503


def test_over_https_as_well(edge: Edge, outside: str) -> None:
    put(edge.host, f"/var/www/edge-acme{CHALLENGE}", "mine")
    tls = {"nginx_tls_enabled": True, "nginx_tls_self_signed": True, "nginx_tls_port": TLS_PORT, "nginx_tls_hsts": 1000}
    turn(edge, "on", **tls)
    over = {"port": TLS_PORT, "tls": HOST_NAME}
    page = ask(edge, outside, **over)
    assert (page["status"], page["headers"]["strict-transport-security"]) == (503, ["max-age=1000"])
    # a challenge comes over plain HTTP alone; here the service would answer
    assert ask(edge, outside, CHALLENGE, **over)["status"] == 503
    assert ask(edge, outside, "/health", **over)["status"] == 200
    assert ask(edge, outside)["status"] == 308
    assert ask(edge, outside, CHALLENGE)["body"] == "mine"
    assert edge.ask("/page", **over)["status"] == 200


def test_no_header_makes_a_client_the_host_itself(edge: Edge, outside: str) -> None:
    chosen = {"maintenance_allow": ["203.0.113.0/24"]}
    turn(edge, "on", nginx_trusted_proxies=[outside], **chosen)
    assert [forwarded(edge, outside, client) for client in ("127.0.0.1", "::1", "203.0.113.7")] == [503, 503, 200]
    # one on the host itself speaks for its clients
    turn(edge, "on", nginx_trusted_proxies=["127.0.0.1"], **chosen)
    clients = ("198.51.100.1", "127.0.0.1, 198.51.100.1", "203.0.113.7")
    assert [forwarded(edge, "127.0.0.1", client) for client in clients] == [503, 503, 200]
    assert ask(edge, "127.0.0.1")["status"] == 200


def test_on_and_off_under_load(edge: Edge, outside: str, address: str) -> None:
    """Nobody fails but who is sent away, an open WebSocket stays, and a run of the role in between keeps the page."""
    turn(edge, "off")
    allowed = json.loads(answer(address, "/page", HOST_NAME))["headers"]["X-Real-IP"]
    where = urlsplit(address)
    socket = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    socket.request("GET", "/ws", headers={"Host": HOST_NAME, **UPGRADE})
    assert socket.getresponse().status == 101
    with (
        load(address, f"--host={HOST_NAME}", "--connections=8", "--pause=0.1") as tally,
        asked(edge, outside) as answers,
    ):
        turn(edge, "on", maintenance_allow=[allowed], nginx_reload_announce=5)
        since = len(answers)
        output = edge.serve()
        while len(answers) < since + 100:
            time.sleep(0.1)
        until = len(answers)
        turn(edge, "off", nginx_reload_announce=5)
    assert_unnoticed(tally)
    assert "changed=0 " in output
    assert SAID in output
    # the first of them may have been asked before it was on
    refused = answers[since + 20 : until]
    assert {(found["status"], *found["headers"]["retry-after"]) for found in refused} == {(503, "600")}
    assert {found["status"] for found in answers} == {200, 503}
    assert answers[-1]["status"] == 200
    assert socket.sock is not None
    socket.sock.sendall(b"word")
    assert socket.sock.recv(4) == b"word"
    socket.close()


def test_site_yml_and_a_deployment_keep_it(address: str) -> None:
    # as the scenario has it
    given = {"watchdog_enabled": False}
    assert run("site", given)[0] == 0
    try:
        code, output = run("maintenance", {**given, **ON, "maintenance_reason": "a new database"})
        assert code == 0, output
        for name, said in (("site", "there is nothing to do"), ("drift", "as declared"), ("deploy", SAID)):
            code, output = run(name, given)
            assert code == 0, output
            assert said in output
            assert name == "drift" or (SAID in output and ", a new database;" in output)
            assert "Down for maintenance" in answer(address, "/", "workbot.test")
    finally:
        code, output = run("maintenance", {**given, "maintenance_state": "off"})
    assert code == 0, output
    assert "Down for maintenance" not in answer(address, "/", "workbot.test")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "maintenance_state: is not set; expected on or off"),
        ({"maintenance_state": "maybe"}, "maintenance_state = maybe: expected one of on, off"),
        ({**ON, "maintenance_retry_after": 0}, "maintenance_retry_after = 0: expected a whole number"),
        ({**ON, "maintenance_allow": "203.0.113.7"}, "maintenance_allow = 203.0.113.7: expected a list"),
        ({**ON, "maintenance_allow": ["::1", "office"]}, "maintenance_allow[1] = office: expected"),
        ({**ON, "maintenance_until": 1}, "maintenance_until: no playbook has this variable"),
    ],
)
def test_bad_input_is_refused(variables: dict[str, Any], said: str) -> None:
    code, output = run("maintenance", variables)
    assert code == 2
    assert said in output
    assert "Nothing was changed" in output


def test_all_proxies_have_it_or_none(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps({"app": {"hosts": {"app1": {}}}, "proxy": {"hosts": {"proxy1": {}, "proxy2": {}}}}))
    code, output = run("maintenance", ON, "--limit=proxy1", inventory=str(hosts))
    assert code == 2
    assert "--limit leaves out proxy2: clients would get another answer there. Nothing was changed." in output


def test_a_removal_takes_it_along(edge: Edge) -> None:
    turn(edge, "on")
    code, output = run("remove", {**VARIABLES, **edge.defaults})
    assert code == 0, output
    assert edge.host.run("find /etc/nginx /var/lib/nginx_site -path '*edge*'").stdout == ""
