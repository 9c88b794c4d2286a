# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action as a playbook runs it: one run over hosts that can't be reached, each with variables of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from certificates import issue
from variable_hosts import GOOD, HOSTS, PARTLY_RIGHT, PARTLY_WRONG, PLAYBOOK, SECRET


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, t.Any]], str]:
    """Return each host's result and the whole output of the run, in check mode."""
    directory = tmp_path_factory.mktemp("play")
    hosts = {name: {**GOOD, **variables} for name, variables in {**HOSTS, "factless": {}}.items()}
    # 192.0.2.0/24 has no hosts: the action must not need any.
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"vars": {"ansible_host": "192.0.2.1"}, "hosts": {**hosts, "localhost": local}}}
    (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")
    for name in ("app/package.json", "app/package-lock.json", "bare/package.json", "db.sql"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("{}", encoding="utf-8")
    (directory / "ca.pem").write_text(issue("An authority").pem, encoding="utf-8")
    playbooks = tmp_path_factory.mktemp("collection")
    (playbooks / "play.json").write_text(json.dumps(PLAYBOOK), encoding="utf-8")
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", "inventory.json", str(playbooks / "play.json"), "--check"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    clean["ANSIBLE_HOME"] = str(tmp_path_factory.mktemp("home"))
    done = subprocess.run(command, cwd=directory, env=clean, capture_output=True, text=True, check=False, timeout=300)
    file = directory / "results.json"
    assert file.exists(), done.stdout + done.stderr
    results = json.loads(file.read_text(encoding="utf-8"))
    assert results["checked"].keys() == hosts.keys()
    for name, result in results["partly"].items():
        results["checked"][name]["named"] = result
    return results["checked"], done.stdout + done.stderr


@pytest.mark.parametrize("host", PARTLY_RIGHT)
def test_variables_that_a_play_does_not_need_may_be_wrong(
    run: tuple[dict[str, dict[str, t.Any]], str], host: str
) -> None:
    named = run[0][host]["named"]
    assert not named["failed"], named["msg"]
    assert named["plan"] == {}


@pytest.mark.parametrize("host", PARTLY_WRONG)
def test_those_that_it_needs_may_not(run: tuple[dict[str, dict[str, t.Any]], str], host: str) -> None:
    named = run[0][host]["named"]
    assert named["failed"]
    assert all(line.startswith("ser") for line in named["msg"].splitlines()[1:])


@pytest.mark.parametrize("host", ["good", "texts", "socket", "mine", "trial", "beside", "forked"])
def test_right_variables_give_the_plan(run: tuple[dict[str, dict[str, t.Any]], str], host: str) -> None:
    result = run[0][host]
    assert not result["failed"], result["msg"]
    assert not result["changed"]
    assert result["plan"]["instances"] >= 1
    assert result["msg"] == result["plan"]["summary"]


def test_what_nginx_serves_is_told_for_the_services_of_one_machine(
    run: tuple[dict[str, dict[str, t.Any]], str],
) -> None:
    assert run[0]["good"]["serves"] == ["_ on port 80"]
    places = [f"{name} on port {port}" for port in (80, 443) for name in ("_", "192.0.2.7")]
    assert run[0]["trial"]["serves"] == places


LINES = {
    "theirs": [
        "service_directory = /etc/shop (theirs, inventory.json): expected an absolute path without",
        "service_group = ssl-cert (theirs, inventory.json): expected another one: this one belongs to the system",
        "service_database_user = postgres (theirs, inventory.json): expected 1 to 63 lower-case letters, digits and",
        "service_database_name = template1 (theirs, inventory.json): expected another one",
        "nginx_acme_webroot = /tmp (theirs, inventory.json): expected an absolute path without",
        "pm2_out_file = /etc/passwd (theirs, inventory.json): expected an absolute path without",
    ],
    "not for that": [
        "service_name = postgresql-backup (not for that, inventory.json): expected another one: this one belongs to",
        "release_shared_directories[0] = node_modules (not for that, inventory.json): expected a path inside the rel",
        "pm2_socket_variable = PATH (not for that, inventory.json): expected the name of an environment variable that",
        "nginx_cleared_headers[0] = host (not for that, inventory.json): expected the name of a header that Nginx does",
        "logrotate_extra_paths[0] = /etc/passwd (not for that, inventory.json): expected an absolute path without ..",
    ],
    "others logs": [
        "pm2_error_file = /var/log/error logs/x.log (others logs, inventory.json): expected an absolute path",
        "service_log_directory = /srv/workbot/shared (others logs, inventory.json): must be a directory of its own",
        "pm2_out_file = /var/log/workbot-out.log (others logs, inventory.json): must be a file in service_log",
    ],
    "letters": [
        'nginx_server_names = shop (letters, inventory.json): expected a list, such as ["shop"]; after -e as JSON',
        "service_required_secrets = JWT_SECRET (letters, inventory.json): expected a list",
        "service_environment = A=1 (letters, inventory.json): expected a dictionary, such as {NAME: value}",
        "nginx_rate_limits[0].paths = /api/ (letters, inventory.json): expected a list",
    ],
    "late": [
        "service_ca_file = ",
        "service_health_path = /health;x (late, inventory.json): expected a path beginning with /",
        "nginx_server_names[1] = a..b (late, inventory.json): expected a host name",
        "nginx_rate_limits[0].paths[0] = /api; (late, inventory.json): expected a path beginning with /",
        "service_websocket_paths[0] = /ws; (late, inventory.json): expected a path beginning with /",
        "logrotate_extra_paths[0] = /var/log/my logs/*.log (late, inventory.json): expected an absolute path",
        "service_database_password (late, inventory.json): has a NUL byte, which no environment can hold",
        "pm2_environment.PORT (late, inventory.json): is not to be set here",
        "pm2_environment.a b (late, inventory.json): is no environment name",
        "pm2_options.cron_restart = 61 * * * * (late, inventory.json): expected five or six cron fields",
    ],
    "overridden": [
        "pm2_environment.MODE (overridden, inventory.json): holds a NUL or a carriage return",
        "pm2_environment.JWT_SECRET (overridden, inventory.json): is in service_secrets too; keep one of them",
        "pm2_environment.SHARED (overridden, inventory.json): is in service_environment too; keep one of them",
    ],
    "socketless": ["or pm2_environment sets it too"],
    "seconds": ["pm2_options.cron_restart = 99 0 3 * * * (seconds, inventory.json): expected five or six cron fields"],
    "daily": ["pm2_options.cron_restart = @daily (daily, inventory.json): expected five or six cron fields"],
    "channels": [
        "alerting_urls[1] (channels, inventory.json): is there twice: each message would come twice",
        "alerting_urls[2] (channels, inventory.json): expected an Apprise URL of the form kind://",
        "alerting_heartbeat_url = (hidden) (channels, inventory.json): expected an http:// or https:// address without",
    ],
    "nul passwords": ["postgresql_diagnosis_password = (hidden) (nul", "postgresql_admin_password = (hidden) (nul"],
    "header line": ["which is no name of a header"],
    "header value": ["nginx_security_headers.X-Frame-Options = DENY"],
    "elsewhere": ["postgresql_settings = a dictionary with data_directory, Port, work_mem (elsewhere,"],
    "limitless": ["a limit has no paths; [/] stands for all of them", "has X Frame, which is no name of a header"],
    "forgotten": ["(forgotten, inventory.json): is not set, but service_database_password is; set it to true"],
    "plain word": ["service_instances = 0 (plain word, inventory.json): expected a whole number, 1 to 512"],
    "same word": [
        "service_log_directory = /srv/******** staple (same word, inventory.json): expected an absolute path"
    ],
    "unnamed": ["service_name (unnamed): is required and has no value"],
    "misspelled": ["did you mean service_mode?", "did you mean service_database_name?"],
    "all at once": [
        "SERVICE_MODE (all at once, inventory.json): no role has this variable; did you mean service_mode?",
        "service_databse_name (all at once, inventory.json): no role has this variable; did you mean service_database",
        "nginx_port = 70000 (all at once, inventory.json): expected a port",
        "nginx_tls_key_file = /etc/ssl/private/shop.key (all at once, inventory.json): goes with nginx_tls_certificate",
        "service_instances = 400 (all at once, inventory.json): not enough memory: 400",
        "service_instances = 400 (all at once, inventory.json): not enough database connections: 400",
    ],
    "types": [
        "service_websocket_heartbeat = abc (types, inventory.json): expected a whole number",
        "postgresql_lock_timeout = abc (types, inventory.json): expected a whole number",
        "service_mode = prod (types, inventory.json): expected one of production, development",
        'service_name = ["x"] (types, inventory.json): expected a text; put it in quotes',
    ],
    "sizes": [
        "service_heap_limit = 1.5G (sizes, inventory.json): expected a whole number followed by K, M or G",
        "service_memory_restart_limit = -1 (sizes, inventory.json): expected a whole number followed by K, M or G",
    ],
    "numbers": [
        "service_instances = 0 (numbers, inventory.json): expected a whole number, 1 to 512, or max",
        "service_pool_max = -1 (numbers, inventory.json): expected a whole number, 1 to 10000, or auto",
        "nginx_port = 70000 (numbers, inventory.json): expected a port, 1 to 65535",
        "service_database_port = 0 (numbers, inventory.json): expected a port, 1 to 65535",
    ],
    "unsafe": ["service_name = ../x (unsafe, inventory.json): expected 1 to 31 lower-case letters, digits and dashes"],
    "undefined": ["service_log_directory (undefined, inventory.json): can't be templated: 'nowhere' is undefined"],
    "reserved": ["service_name = nginx (reserved,", "service_log_directory = /var/log (reserved,"],
    "weak": [
        "service_secrets.JWT_SECRET (weak, inventory.json): has 15 characters, at least 32 are needed",
        "service_database_password (weak, inventory.json): is a placeholder, not a secret",
    ],
    "unset": ["service_secrets.JWT_SECRET (unset", "service_database_password (unset"],
    "template": ["service_database_password (template, inventory.json): can't be templated: a secret that has {{"],
    "quotes": ["service_secrets.JWT_SECRET (quotes"],
    "twice": ["service_environment.PORT (twice", "service_environment.JWT_SECRET (twice"],
    "starter": ["pm2_script = node_modules/.bin/tsx (starter, inventory.json): only starts another process"],
    "sourceless": ["none of release_directory, release_archive and release_git_url names the source"],
    "nowhere": ["release_directory = /nowhere (nowhere, inventory.json): expected a directory that exists"],
    "unbeside": ["= gone/app (unbeside, inventory.json): expected a directory that exists on the controller, but at /"],
    "lockless": ["release_directory = bare (lockless, inventory.json): there is no package.json or no lock file"],
    "two_sources": ["one source, but these are set: release_directory, release_archive"],
    "unchecked": [
        'release_checksum = "" (unchecked): release_archive is fetched from the network and needs a checksum'
    ],
    "keyless": ["release_git_key = /nowhere (keyless, inventory.json): expected a file that exists on the controller"],
    "other source": ["(other source, inventory.json): belongs to release_archive, which is not set"],
    "login": ["(login, inventory.json): expected https://host/path.git without a login in it"],
    "unbuilt": ["release_before_build = ", "release_after_build = "],
    "levels": [
        "(levels, inventory.json): expected heap_percent.warning (95) to be below heap_percent.critical (95)",
    ],
    "falling": ["expected certificate_days.warning (7) to be above certificate_days.critical (21)"],
    "nameless levels": ["expected no heap in it, but answer_ms, heap_percent, rss_percent, "],
    "flat levels": ["expected heap_percent to be a dictionary of warning, critical or both"],
    "high levels": ["expected disk_percent.critical to be a number above 0, at most 100"],
    "slow levels": [
        "diagnostics_http_timeout_ms = 900 (slow levels): must not be below diagnostics_thresholds.answer_ms.critical"
    ],
    "schema": ["postgresql_schema.src = nowhere.sql (schema, inventory.json): expected a file that exists"],
    "tables": ["needs src, an SQL file on the controller, and creates", "postgresql_indexes[0].columns (tables"],
    "ambiguous": [
        "nginx_upstream_servers[0].host = localhost (ambiguous, inventory.json): expected a host name or an IP"
    ],
    "nameless": [
        'nginx_server_names = ["shop.test", "192.0.2.7"] (nameless, inventory.json): has an IP address, but over TLS'
    ],
    "layers": [
        "nginx_websocket_timeout = 60s (layers, inventory.json): must be above two heartbeats",
        "nginx_worker_rlimit_nofile = 800 (layers, inventory.json): a worker has too few files for its connections",
        "postgresql_settings = a dictionary with max_connections (layers, inventory.json): max_connections 50 is less",
    ],
    "contrary": [
        "service_memory_restart_limit = 1G (contrary, inventory.json): PM2 would restart a process before",
        "service_instances = 400 (contrary, inventory.json): not enough memory: 400",
        "service_instances = 400 (contrary, inventory.json): not enough database connections: 400",
    ],
    "factless": ["gather_facts (factless): the plan needs the host's cores and memory"],
}


@pytest.mark.parametrize("host", sorted(LINES))
def test_every_problem_has_one_line(run: tuple[dict[str, dict[str, t.Any]], str], host: str) -> None:
    result = run[0][host]
    assert result["failed"]
    _count, *lines = result["msg"].splitlines()
    assert len(lines) == len(LINES[host]), result["msg"]
    for part in LINES[host]:
        assert sum(part in line for line in lines) == 1, result["msg"]


@pytest.mark.parametrize(
    ("host", "count"),
    [
        ("plain word", "One variable is"),
        ("late", "9 variables are"),
        ("contrary", "2 variables are"),
    ],
)
def test_a_variable_counts_once_however_much_is_wrong_with_it(
    run: tuple[dict[str, dict[str, t.Any]], str], host: str, count: str
) -> None:
    assert run[0][host]["msg"].startswith(f"{count} wrong; nothing was changed.\n")


def test_no_secret_is_in_the_output(run: tuple[dict[str, dict[str, t.Any]], str]) -> None:
    for secret in (SECRET, "hunter2-hunter2", "changeme", "p4ss-W0rd"):
        assert secret not in run[1]
        assert secret not in json.dumps(run[0])


def test_an_unknown_role_is_an_error() -> None:
    command = [
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "-m",
        "workbot.stability.validate_variables",
    ]
    done = subprocess.run(
        [*command, "-a", "roles=workbot.stability.nowhere"], capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "There is no role workbot.stability.nowhere" in done.stdout + done.stderr
