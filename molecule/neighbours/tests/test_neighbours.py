# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a second service, from its installation to its removal, which the first one and its clients never notice.

The tests are one story: each goes on where the one before it has ended.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from deployments import FROM_ENVIRONMENT, Service, release, wait
from hosts import playbook
from neighbours import FIRST, LIMIT, SECOND, TWICE, VARIABLES, made_ill, run, traces, unnoticed
from testinfra.host import Host

MARK = "CREATE TABLE IF NOT EXISTS receipts (number int); INSERT INTO receipts VALUES (1)"
NAMES = (FIRST, SECOND)
COUNT = "SELECT count(*) FROM receipts"


def sql(host: Host, statement: str) -> str:
    found: str = host.check_output(
        "runuser -u postgres -- psql -XAtq --dbname=%s -c %s", SECOND, f"SET ROLE {SECOND}; {statement}"
    )
    return found


def test_a_first_release_that_does_not_stay_up_fails_the_run(
    host: Host, first: Service, second: Service, address: str, tmp_path: Path
) -> None:
    """It goes on in the background meanwhile, and role watchdog waits for it: nothing of that is to be missed."""
    broken = release(tmp_path, "0.9.0", "dies after health")
    with unnoticed(first, address):
        failed = wait(second.start("site", release_directory=broken), LIMIT)
    assert failed.code == 2, failed.output
    assert "Begin to activate the release" in failed.output
    assert "Failed step: stay healthy" in failed.output
    assert "No release was active before, so none serves now." in failed.output
    assert host.check_output("ls /srv/%s/releases /srv/%s/activations", SECOND, SECOND).split() == [
        f"/srv/{SECOND}/activations:",
        f"/srv/{SECOND}/releases:",
    ]
    assert not host.file(f"/etc/systemd/system/{SECOND}-watchdog.service").exists
    assert host.check_output("ls /root/.ansible_async 2>/dev/null || true") == ""
    # so that the next one is a first run as well
    run(second, "remove", **TWICE)


def test_it_is_installed_beside_the_first_one(host: Host, first: Service, second: Service, address: str) -> None:
    with unnoticed(first, address):
        run(second, "site")
        # a second run that reloads Nginx as well
        run(second, "site", nginx_body_limit="3M")
    running = [host.check_output("/opt/%s/bin/node --version", name) for name in (first.name, second.name)]
    assert [version.partition(".")[0] for version in running] == ["v26", "v24"]
    for service, version in zip((first, second), running, strict=True):
        for process in service.settled()["pm2"]:
            # root in a container may not look into another user's process
            program = host.check_output("runuser -u %s -- readlink /proc/%s/exe", service.name, str(process["pid"]))
            assert host.check_output("%s --version", program) == version


def test_the_plan_of_each_counts_what_the_other_has(host: Host, second: Service) -> None:
    # those that earlier scenarios have left as well
    files = sorted(host.check_output("ls /etc/ansible/facts.d/*-plan.fact").split())
    records = {record["service"]: record for record in (json.loads(host.file(path).content_string) for path in files)}
    assert all(records[name]["memory_mb"] and records[name]["connections"] for name in NAMES)
    others = {name: record["memory_mb"] for name, record in records.items() if name != SECOND}
    shown = ", ".join(f"{name} {memory}M" for name, memory in others.items())
    assert f"other services {sum(others.values())}M sum {shown}" in run(second, "plan")
    all_of_it = host.check_output("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo")
    refused = wait(second.start("site", service_memory_restart_limit=f"{all_of_it}M"), LIMIT)
    assert refused.code == 2
    assert f"of other services ({shown.replace('M', '')})" in refused.output
    assert not refused.changed


def test_a_name_of_the_other_is_refused_before_anything_changes(second: Service) -> None:
    refused = wait(second.start("site", nginx_server_names=[f"{SECOND}.test", "_"]), LIMIT)
    assert refused.code == 2
    assert f"nginx_server_names: every other name (_) on port 80 is served by the service {FIRST}" in refused.output
    assert not refused.changed


def test_each_is_deployed_alone(first: Service, second: Service, address: str) -> None:
    with unnoticed(first, address):
        run(second, "deploy", FROM_ENVIRONMENT, service_environment={"GREETING": "good evening"})
        second.settled()
    with unnoticed(second, address):
        run(first, "deploy", FROM_ENVIRONMENT, service_log_level="warn", pm2_drain_time=1)
        run(first, "deploy", FROM_ENVIRONMENT, pm2_drain_time=1)
        first.settled()


def test_each_falls_ill_and_recovers_alone(first: Service, second: Service, address: str) -> None:
    with unnoticed(first, address):
        made_ill(second)
    with unnoticed(second, address):
        made_ill(first)


def test_data_is_asked_for_twice_and_check_mode_tells_all(
    host: Host, first: Service, second: Service, address: str
) -> None:
    sql(host, MARK)
    there = traces(host)
    with unnoticed(first, address), unnoticed(second, address):
        slip = wait(second.start("remove", remove_data=True), LIMIT)
        wrong = wait(second.start("remove", remove_data=True, remove_confirm="kiosks"), LIMIT)
        told = run(second, "remove", "--check", "--diff", **TWICE)
    for refused in (slip, wrong):
        assert refused.code != 0
        assert f"add -e remove_confirm={SECOND}" in refused.output
        assert f"database {SECOND} and roles" in refused.output
    assert traces(host) == there
    for path in [*there["paths"], *(f"unit {unit}" for unit in there["units"])]:
        assert is_told(path, told), path


def is_told(path: str, told: str) -> bool:
    """Whether it, or a directory around it, is in what check mode says would go."""
    parents = [path[: number or None] for number, sign in enumerate(path) if sign == "/" and number] + [path]
    # Links that enable a unit go with it, what systemd notes of one that runs, and the link to an authority's hash. The
    # activations' units go with their template.
    own = (".wants/", "/etc/systemd/", "/run/systemd/", "/systemd-private-", ".slice")
    with_a_unit = any(part in path for part in (*own, f"/run/{SECOND}@", f"unit {SECOND}@"))
    return with_a_unit or any(f"-{parent} " in f"{told} " for parent in parents)


def test_it_is_removed_and_its_data_stays(host: Host, first: Service, second: Service, address: str) -> None:
    with unnoticed(first, address):
        run(second, "remove")
        assert "changed=0" in run(second, "remove")
    found = traces(host)
    assert set(found["paths"]) == {f"/srv/{SECOND}", f"/var/log/{SECOND}", *kept_logs(host)}
    assert found["units"] == []
    assert found["databases"] == [SECOND]
    assert sql(host, COUNT) == "1"
    assert host.check_output("ls /srv/%s", SECOND) == "config"
    # the owner of what stays
    assert host.user(SECOND).uid == host.file(f"/srv/{SECOND}/config/environment").uid


def kept_logs(host: Host) -> list[str]:
    found: list[str] = host.check_output("find /var/log/nginx -name '*%s*'", SECOND).split()
    return found


def test_it_is_installed_again_over_its_data(host: Host, first: Service, second: Service, address: str) -> None:
    with unnoticed(first, address):
        run(second, "site")
    assert len(second.settled()["pm2"]) == 2
    assert sql(host, COUNT) == "1"


def test_a_removal_that_is_killed_is_completed_by_the_next(
    host: Host, first: Service, second: Service, address: str, before: dict[str, Any]
) -> None:
    with unnoticed(first, address):
        removing = playbook("workbot.stability.remove", TWICE, VARIABLES)
        deadline = time.monotonic() + LIMIT
        while host.run("systemctl is-active %s", f"{SECOND}@*").rc == 0:
            assert removing.poll() is None, removing.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        host.check_output("kill -9 $(grep -ao 'process [0-9]*' /srv/%s/.deploy.lock | cut -d ' ' -f 2)", SECOND)
        assert wait(removing, LIMIT).code != 0
        assert traces(host)["paths"], "it was killed in the middle"
        run(second, "remove", **TWICE)
        assert "changed=0" in run(second, "remove", **TWICE)
    assert traces(host) == before
