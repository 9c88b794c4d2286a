# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nginx as it runs on the host, and what becomes of a configuration that is no good."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

INVENTORY = str(Path(__file__).resolve().parents[3] / "molecule/inventory")
TRIAL = "conf.d/molecule-trial.conf"
JOURNAL = "/var/lib/nginx_site/.journal.json"

# Prints the status of one request: method, path, bytes of its body, address.
REQUEST = textwrap.dedent(
    """
    import http.client, sys
    method, path, size, address = sys.argv[1:5]
    connection = http.client.HTTPConnection(address, 80, timeout=10)
    connection.request(method, path, body=b"x" * int(size) or None)
    answer = connection.getresponse()
    print(answer.status)
    print(answer.headers.get("Server"))
    """
)


def request(host: Any, path: str, method: str = "GET", size: int = 0, address: str = "127.0.0.1") -> tuple[int, str]:
    """Status and Server header of an answer."""
    output = host.check_output("python3 -c %s %s %s %s %s", REQUEST, method, path, str(size), address)
    status, server = output.splitlines()
    return int(status), server


def nginx_site(**arguments: Any) -> dict[str, Any]:
    """What the module returns, run as a task of a playbook runs it."""
    command = ["ansible", "--inventory", INVENTORY, "app", "--become", "--module-name", "workbot.stability.nginx_site"]
    # Whatever the settings of the run that the test is part of: one JSON document, without colours.
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"}
    environment.pop("ANSIBLE_FORCE_COLOR", None)
    done = subprocess.run(
        [*command, "--args", json.dumps(arguments)], env=environment, capture_output=True, text=True, check=False
    )
    assert " => {" in done.stdout, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
    return result


def refusal(content: str) -> str:
    """What the module says to a configuration that it does not take over."""
    result = nginx_site(name="molecule", files=[{"path": TRIAL, "content": content}])
    assert "msg" in result, result
    return str(result["msg"])


def configuration(host: Any) -> str:
    """Every file and link below /etc/nginx, with its content."""
    command = "cd /etc/nginx && find . -type f -exec sha256sum {} + -o -type l -printf '%p -> %l\\n' | sort"
    return str(host.check_output(command))


@pytest.fixture
def untouched(host: Any) -> Iterator[None]:
    """The configuration, and the workers, are afterwards what they were before."""
    files, workers = configuration(host), host.check_output("pgrep -u www-data nginx")
    yield
    assert configuration(host) == files
    assert host.check_output("pgrep -u www-data nginx") == workers
    assert request(host, "/health")[0] == 200


@pytest.fixture
def broken_by_others(host: Any) -> Iterator[str]:
    """A file of somebody else that nginx does not understand."""
    path = "/etc/nginx/conf.d/others.conf"
    host.check_output("echo 'oops;' > %s", path)
    yield path
    host.check_output("rm %s", path)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_answers_on_both_protocols(host: Any, address: str) -> None:
    assert request(host, "/health", address=address)[0] == 200


def test_it_runs_at_boot_and_without_complaints(host: Any) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled
    result = host.run("nginx -t")
    assert result.rc == 0
    assert "warn" not in result.stderr


def test_it_does_not_tell_its_version(host: Any) -> None:
    assert request(host, "/no-such-page")[1] == "nginx"


def test_the_default_site_of_debian_is_off(host: Any) -> None:
    assert not host.file("/etc/nginx/sites-enabled/default").exists
    assert host.file("/etc/nginx/sites-available/default").exists


def test_a_body_over_the_limit_is_refused(host: Any) -> None:
    # The service may have a limit of its own: Nginx's log tells who refused.
    def refused() -> int:
        log = host.file("/var/log/nginx/workbot.error.log").content_string
        return int(log.count("client intended to send too large body"))

    before = refused()
    assert request(host, "/no-such-page", "POST", 11 * 1024 * 1024)[0] == 413
    assert refused() == before + 1
    request(host, "/no-such-page", "POST", 9 * 1024 * 1024)
    assert refused() == before + 1


def test_health_stays_out_of_the_access_log(host: Any) -> None:
    log = host.file("/var/log/nginx/workbot.access.log")
    request(host, "/health?molecule-health")
    request(host, "/molecule-page")
    assert "molecule-page" in log.content_string
    assert "molecule-health" not in log.content_string


@pytest.mark.parametrize("name", ["workbot.access.log", "workbot.error.log"])
def test_logs_are_not_for_everyone(host: Any, name: str) -> None:
    log = host.file(f"/var/log/nginx/{name}")
    assert (log.user, log.group, log.mode) == ("www-data", "adm", 0o640)


@pytest.mark.usefixtures("untouched")
def test_an_unknown_directive_is_refused_with_its_line() -> None:
    message = refusal("server {\n  listen 80;\n  prox_pass x;\n}\n")
    assert 'unknown directive "prox_pass"' in message
    assert f"/etc/nginx/{TRIAL}:3" in message
    assert ">    3 |   prox_pass x;" in message


@pytest.mark.usefixtures("untouched")
def test_a_server_name_of_another_site_is_refused() -> None:
    message = refusal("server { listen 80; server_name _; return 204; }\n")
    assert "serves the same server name already" in message


@pytest.mark.usefixtures("untouched")
def test_a_second_default_server_is_refused() -> None:
    assert "duplicate default server" in refusal("server { listen 80 default_server; return 204; }\n")


def test_a_configuration_that_was_broken_before_is_reported_as_such(host: Any, broken_by_others: str) -> None:
    message = refusal("server { listen 80; server_name trial; return 204; }\n")
    assert "was broken before this run, by someone else" in message
    assert f"{broken_by_others}:1" in message
    assert not host.file(f"/etc/nginx/{TRIAL}").exists
    assert request(host, "/health")[0] == 200


def test_what_fails_only_at_the_reload_is_undone(host: Any) -> None:
    """`nginx -t` accepts a port that another program has; the master finds out when it binds."""
    before = configuration(host)
    host.check_output("systemd-run --unit=molecule-port --service-type=exec python3 -m http.server 8099")
    try:
        for _attempt in range(50):
            if host.socket("tcp://0.0.0.0:8099").is_listening:
                break
        message = refusal("server { listen 8099; return 204; }\n")
    finally:
        host.check_output("systemctl stop molecule-port")
    assert "bind() to 0.0.0.0:8099 failed" in message
    assert "The previous files are back, and nginx runs with them." in message
    assert configuration(host) == before
    assert request(host, "/health")[0] == 200


def test_the_change_of_a_killed_run_is_undone_by_the_next(host: Any) -> None:
    before = configuration(host)
    journal = json.dumps({"files": {TRIAL: None}, "directories": []})
    host.check_output("echo 'server { listen 80; server_name trial; return 204; }' > %s", f"/etc/nginx/{TRIAL}")
    host.check_output("echo %s > %s", journal, JOURNAL)
    result = nginx_site(name="molecule", absent=["conf.d/there-is-none.conf"])
    assert (result["changed"], result["recovered"], result["reloaded"]) == (True, True, True)
    assert configuration(host) == before
    assert not host.file(JOURNAL).exists
    assert not nginx_site(name="molecule", absent=["conf.d/there-is-none.conf"])["changed"]


def test_a_taken_port_is_named() -> None:
    assert "Port 22 is taken by sshd" in nginx_site(ports=[22])["msg"]
