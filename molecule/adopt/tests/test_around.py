# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each tier around services that run under something else: they do not notice, and are really watched."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

import by_hand
import pytest
from by_hand import NAMES
from deployments import assert_unnoticed, load
from testinfra.host import Host
from waiting import until

UNCHANGED = dict.fromkeys(NAMES, 0)
# Seconds until the watchdog has seen it.
LIMIT = 60


def apply(tags: str, address: str) -> tuple[str, list[dict[str, Any]]]:
    """One run under load: what it printed, and what the clients of each service noticed."""
    with ExitStack() as loads:
        tallies = [loads.enter_context(load(address, f"--host={name}.test", "--connections=3")) for name in NAMES]
        code, output = by_hand.run(tags)
    assert code == 0, output
    return output, tallies


@pytest.fixture(scope="module")
def tiers(services: Host, address: str) -> dict[str, Any]:
    """Each tier alone, then both once more, with what was there before and after."""
    before = by_hand.processes(services), by_hand.files(services)
    runs = {tags: apply(tags, address) for tags in ("immediate", "short_term", "immediate,short_term")}
    return {"before": before, "after": (by_hand.processes(services), by_hand.files(services)), "runs": runs}


@pytest.mark.parametrize("tags", ["immediate", "short_term"])
def test_a_tier_changes_something_and_no_client_notices(tiers: dict[str, Any], tags: str) -> None:
    output, tallies = tiers["runs"][tags]
    assert all(by_hand.changes(output).values()), output
    for tally in tallies:
        assert_unnoticed(tally)


def test_the_second_run_changes_nothing(tiers: dict[str, Any]) -> None:
    output, tallies = tiers["runs"]["immediate,short_term"]
    assert by_hand.changes(output) == UNCHANGED, output
    for tally in tallies:
        assert_unnoticed(tally)


def test_no_process_and_no_file_of_anybody_else_has_changed(tiers: dict[str, Any]) -> None:
    (processes, files), (processes_after, files_after) = tiers["before"], tiers["after"]
    assert len([line for line in processes if "server.js" in line]) >= 4
    assert processes_after == processes
    assert files_after == files


def test_what_was_not_applied_is_said(tiers: dict[str, Any], services: Host) -> None:
    output, _tallies = tiers["runs"]["short_term"]
    assert "byunit goes on as it is" in output
    handed = services.file("/srv/byunit/config/environment")
    assert handed.contains("--max-old-space-size=96")
    assert (handed.user, handed.mode) == ("byunit", 0o600)


def test_the_declared_index_is_in_the_database_that_was_there(tiers: dict[str, Any], services: Host) -> None:
    assert tiers["runs"]
    query = "SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_orders_made_at'"
    found = services.check_output("cd / && runuser -u postgres -- psql -At -d byhand -c %s", query)
    assert "USING btree (made_at DESC)" in found


def test_the_diagnosis_knows_each_service(tiers: dict[str, Any], services: Host) -> None:
    assert tiers["runs"]
    for name in NAMES:
        found = by_hand.diagnosis(services, name, "release", "processes", "health", "event_loop", "proxy", "secrets")
        ill = {check: finding for check, finding in found.items() if finding["status"] != "ok"}
        assert not ill, (name, ill)
        assert found["processes"]["value"] == (2 if name == "legacy" else 1)
        assert "running process" in found["secrets.JWT_SECRET"]["message"]


def stopped_processes(host: Host) -> dict[str, str]:
    """One of each service's processes."""
    unit = host.service("byunit").systemd_properties["MainPID"]
    hand = host.check_output("pgrep -u byhand -x -f '/opt/workbot/bin/node server.js'")
    worker = host.check_output("pgrep -u appuser -f 'legacy/server.js' | head -n 1")
    return {"byhand": hand, "byunit": unit, "legacy": worker}


def test_a_process_that_hangs_is_told_and_left_alone(tiers: dict[str, Any], services: Host) -> None:
    assert tiers["runs"]
    for name in NAMES:
        until(f"{name} well", lambda name=name: by_hand.status(services, name)["state"] == "healthy", LIMIT)
    before = by_hand.processes(services)
    pids = stopped_processes(services)
    services.check_output(f"kill -STOP {' '.join(pids.values())}")
    try:
        for name, pid in pids.items():
            problems = until(f"{name} ill", lambda name=name: by_hand.status(services, name)["problems"], LIMIT)
            told = [problem["message"] for problem in problems if problem["key"] == "service"]
            assert told, (name, problems)
            assert f"process {pid})" in told[0], (name, told)
            found = by_hand.diagnosis(services, name, "event_loop", "health")
            assert "critical" in {finding["status"] for finding in found.values()}, (name, found)
        time.sleep(10)
    finally:
        services.check_output(f"kill -CONT {' '.join(pids.values())}")
    for name in NAMES:
        until(f"{name} well", lambda name=name: by_hand.status(services, name)["state"] == "healthy", LIMIT)
        assert not services.run(f'grep -s \'"kind": "action"\' /var/log/{name}/recovery.log').stdout
        lines = services.check_output(f'grep -h \'"key": *"service"\' /var/log/{name}/monitor.log')
        assert [json.loads(line)["kind"] for line in lines.splitlines() if "phase" not in line][-1] == "resolved"
    assert by_hand.processes(services) == before


@pytest.mark.parametrize(
    ("name", "log"), [("byunit", "/opt/byunit-app/out.log"), ("legacy", "/home/appuser/logs/out.log")]
)
def test_a_log_that_can_be_opened_anew_is_rotated_without_a_lost_line(
    tiers: dict[str, Any], services: Host, name: str, log: str
) -> None:
    assert tiers["runs"]
    services.check_output(f"logrotate --force /etc/logrotate-{name}.conf")
    time.sleep(2)
    size = services.file(f"{log}.1").size
    grown = services.file(log).size
    time.sleep(1)
    assert services.file(f"{log}.1").size == size
    assert services.file(log).size > grown
    numbers: dict[str, list[int]] = {}
    for line in services.check_output(f"cat {log}.1 {log}").splitlines():
        if line == "Reloading log...":  # PM2's own word
            continue
        _line, number, _of, pid = line.split()
        numbers.setdefault(pid, []).append(int(number))
    for pid, seen in numbers.items():
        assert seen == list(range(seen[0], seen[0] + len(seen))), (name, pid)


def test_a_log_that_cannot_be_opened_anew_is_left_and_watched(tiers: dict[str, Any], services: Host) -> None:
    assert tiers["runs"]
    assert not services.file("/etc/logrotate-byhand.conf").contains("/opt/byhand-app")
    assert "logs.out.log" in by_hand.diagnosis(services, "byhand", "logs")


def test_the_third_tier_refuses_and_so_do_names_that_are_taken(tiers: dict[str, Any], services: Host) -> None:
    before = tiers["after"]
    code, output = by_hand.run("long_term")
    assert code != 0
    for supervisor in ("process", "systemd", "pm2"):
        assert f"service_supervisor = {supervisor}" in output
    names = {"service_name": "appuser", "service_supervisor": "collection", "service_user": "byhand",
             "nginx_server_names": ["appuser.test"]}  # fmt: skip
    secrets = {"JWT_SECRET": by_hand.SECRET}
    code, output = by_hand.run("long_term", "--limit=legacy", service_secrets=secrets, **names)
    assert code != 0
    assert "service_user: the host has a user byhand with the home /opt/byhand-app" in output
    assert "service_name: /etc/systemd/system/pm2-appuser.service is there already" in output
    assert (by_hand.processes(services), by_hand.files(services)) == before


def test_a_unit_is_restarted_where_that_was_allowed(tiers: dict[str, Any], services: Host) -> None:
    assert tiers["runs"]
    code, output = by_hand.run("immediate", "--limit=byunit", service_external_recovery=True)
    assert code == 0, output
    pid = stopped_processes(services)["byunit"]
    until("it is looked at", lambda: by_hand.status(services, "byunit")["readings"]["workers"], LIMIT)
    services.check_output(f"kill -STOP {pid}")
    until("another process", lambda: stopped_processes(services)["byunit"] not in (pid, "0"), LIMIT)
    until("well again", lambda: by_hand.status(services, "byunit")["state"] == "healthy", LIMIT)
    assert "restarted byunit.service" in services.check_output("byunit-watchdog history")
