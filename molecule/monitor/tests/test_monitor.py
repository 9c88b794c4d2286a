# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's own Prometheus and Alertmanager: what they listen to and know, and that a run keeps them so.

That they pass alerts of a whole fleet on, over TLS, is in the scenario fleet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from drift_kinds import UNITS as UNIT_FILES
from drift_kinds import Drift, is_mode
from hosts import HOST, ROOT, playbook
from monitor import DIRECTORY, UNITS, Monitor
from prediction import differences, play, state, touched
from repairs import assert_predicted_and_repaired
from testinfra.host import Host
from waiting import until

INVENTORY = "--inventory=molecule/monitor/inventory"
# What is not the monitor's is in the scenario site.
OPTIONS = (INVENTORY, "--tags=metrics")
RULES = ROOT / "roles/monitoring/files/prometheus-rules.yml"
TLS = "/etc/prometheus/monitor-tls"
CONFIGURE, CERTIFICATE = "Configure Prometheus and Alertmanager", "Keep the monitor's certificate"


def edited(file: str, lost: str) -> Drift:
    """A file in which somebody has commented lines out."""
    return Drift(f"sed -i '/{lost}/s/^/#/' {file}", CONFIGURE, file, f"! grep '^#.*{lost}' {file}")


def removed(file: str, task: str) -> Drift:
    return Drift(f"rm {file}", task, file, f"test -s {file}")


DRIFTS = {
    "a setting of Prometheus gone": edited(f"{DIRECTORY}/prometheus.yml", "evaluation_interval"),
    "a rule gone": edited(f"{DIRECTORY}/rules.yml", "record: nodejs_service:latency_budget_burn:rate3d"),
    "an inhibition gone": edited(f"{DIRECTORY}/alertmanager.yml", "equal:"),
    "the targets gone": removed(f"{DIRECTORY}/workbot.json", CONFIGURE),
    "Prometheus for everybody": Drift(
        f"sed -i s/127.0.0.1:9090/:9090/ {UNIT_FILES}/prometheus.service.d/nodejs-services.conf",
        CONFIGURE,
        "prometheus.service restarted",
        f"grep address=127.0.0.1:9090 {UNIT_FILES}/prometheus.service.d/nodejs-services.conf",
    ),
    "Alertmanager without its drop-in": removed(
        f"{UNIT_FILES}/prometheus-alertmanager.service.d/nodejs-services.conf", CONFIGURE
    ),
    "Alertmanager stopped": Drift(
        "systemctl disable --now prometheus-alertmanager.service",
        CONFIGURE,
        "prometheus-alertmanager.service started, enabled",
        "systemctl is-active prometheus-alertmanager && systemctl is-enabled prometheus-alertmanager",
    ),
    "a file of the service's user": Drift(
        f"chown workbot {DIRECTORY}/rules.yml",
        CONFIGURE,
        f"{DIRECTORY}/rules.yml",
        is_mode(f"{DIRECTORY}/rules.yml", "root:644"),
    ),
    "the certificate gone": Drift(
        f"rm {TLS}/server.pem", CERTIFICATE, f"{TLS}/server.pem", f"test -s {TLS}/server.pem"
    ),
}


@pytest.fixture(scope="module")
def monitor(host: Host) -> Monitor:
    return Monitor(host)


@pytest.fixture
def calm(monitor: Monitor) -> Iterator[None]:
    """Both answer, before and after."""
    yield
    for unit in UNITS:
        until(f"{unit} runs", lambda unit=unit: monitor.host.run("systemctl is-active %s", unit).rc == 0)
    until("both answer", lambda: monitor.host.run("python3 -c %s", READY).rc == 0)


READY = """
import urllib.request
for port in (9090, 9093):
    urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5)
"""
pytestmark = pytest.mark.usefixtures("calm")


def test_they_listen_to_their_own_host_alone(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --tcp --udp --numeric | awk '{print $5}'").split()
    # 9094 would be Alertmanager's for others of a cluster
    found = {address for address in listening if address.rpartition(":")[2] in ("9090", "9093", "9094")}
    assert found == {"127.0.0.1:9090", "127.0.0.1:9093"}


def test_everything_that_is_asked_answers(monitor: Monitor) -> None:
    jobs = ("node", "postgresql", "prometheus", "alertmanager")
    well = dict.fromkeys(((job, HOST) for job in jobs), "up")
    until("all targets are up", lambda: monitor.targets() == well)
    assert monitor.query(f'nodejs_service_state{{instance="{HOST}", service="workbot"}}') != []


def test_a_long_transaction_is_seen_but_not_what_its_session_calls_itself(host: Host, monitor: Monitor) -> None:
    """Names that are others each time would be series without end."""
    asks = "psql -Xqc \"SET application_name = 'molecule-made-up'\" -c 'SELECT pg_sleep(90)' postgres"
    host.check_output("systemd-run --quiet --collect --unit=molecule-asks --uid=postgres /bin/sh -c %s", asks)
    try:
        seen = "max(pg_long_running_transactions_oldest_timestamp_seconds) or max(pg_stat_activity_max_tx_duration)"
        until("it is seen", lambda: monitor.query(f"({seen}) > 5") != [], limit=60)
        assert monitor.query('{application_name!=""}') == []
    finally:
        host.check_output("systemctl stop molecule-asks")


def test_its_rules_are_those_of_the_collection(host: Host, monitor: Monitor) -> None:
    text = RULES.read_text(encoding="utf-8")
    assert host.file(f"{DIRECTORY}/rules.yml").content_string == text
    declared = [
        rule.get("alert", rule.get("record")) for group in yaml.safe_load(text)["groups"] for rule in group["rules"]
    ]
    loaded = [rule for group in monitor.prometheus("rules")["groups"] for rule in group["rules"]]
    assert sorted(rule["name"] for rule in loaded) == sorted(declared)
    until(
        "all rules can be judged",
        lambda: all(
            rule["health"] == "ok" for group in monitor.prometheus("rules")["groups"] for rule in group["rules"]
        ),
    )


def test_an_alert_reaches_alertmanager(monitor: Monitor) -> None:
    until("the alert has come", lambda: monitor.alerts().get(("NodejsServiceMonitoring", "")) == "active")


def test_of_a_host_that_is_down_nothing_else_is_reported(host: Host, monitor: Monitor) -> None:
    add = "amtool --alertmanager.url=http://127.0.0.1:9093 alert add --end=%s"
    end = host.check_output("date --utc --date='2 minutes' +%Y-%m-%dT%H:%M:%SZ")
    for name, instance in (("Down", "web1"), ("Full", "web1"), ("Full", "web2")):
        alert = {"Down": "NodejsServiceHostDown", "Full": "NodejsServiceDiskFull"}[name]
        host.check_output(f"{add} alertname={alert} instance={instance}", end)
    until("it is muted", lambda: monitor.alerts().get(("NodejsServiceDiskFull", "web1")) == "suppressed")
    assert monitor.alerts()["NodejsServiceHostDown", "web1"] == "active"
    assert monitor.alerts()["NodejsServiceDiskFull", "web2"] == "active"


def test_what_is_kept_is_bounded(monitor: Monitor) -> None:
    flags = monitor.prometheus("status/flags")
    assert (flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]) == ("30d", "2GiB")
    limit = "systemctl show --property=MemoryMax --value prometheus"
    assert monitor.host.check_output(limit) == str(512 * 1024 * 1024)


def test_a_second_service_asks_the_same_host_once_and_targets_that_go_leave_no_alert(
    host: Host, monitor: Monitor
) -> None:
    file = f"{DIRECTORY}/second.json"
    before = monitor.targets()
    lost = '"targets": ["127.0.0.1:1"], "labels": {"job": "node", "instance": "gone", "__scheme__": "http"}'
    host.check_output(f"sed '1s/.*/[{{{lost}}},/' {DIRECTORY}/workbot.json >{file}")
    try:
        until("its targets are asked", lambda: monitor.targets() == {**before, ("node", "gone"): "down"})
        until("the host that is down is noticed", lambda: monitor.query('ALERTS{instance="gone"}') != [])
    finally:
        host.check_output(f"rm {file}")
    until("its targets are asked no longer", lambda: monitor.targets() == before)
    until("nothing is left of it", lambda: monitor.query('{instance="gone"}') == [])


def test_one_that_is_killed_comes_back(host: Host, monitor: Monitor) -> None:
    before = monitor.processes()
    for unit in UNITS:
        host.check_output("systemctl kill --signal=KILL %s", unit)
    until("they are back", lambda: host.run("python3 -c %s", READY).rc == 0 and monitor.processes() != before)
    assert all(before[unit] != now for unit, now in monitor.processes().items())


def test_an_alert_is_not_over_while_prometheus_restarts(host: Host, monitor: Monitor) -> None:
    """Nor does it wait once more: by default Prometheus forgets since when an alert of less than ten minutes lasts."""
    name = ("NodejsServiceDatabaseDown", HOST)
    host.check_output("systemctl stop prometheus-postgres-exporter")
    try:
        until("it fires", lambda: name in monitor.firing(), 150)
        until("it has come to Alertmanager", lambda: monitor.alerts().get(name) == "active")
        since, reported = monitor.firing()[name], monitor.reported_since()[name]
        host.check_output("systemctl restart prometheus")
        until("Prometheus is back", lambda: host.run("python3 -c %s", READY).rc == 0)
        until("it fires again", lambda: name in monitor.firing())
        assert monitor.firing()[name] == since
        assert monitor.reported_since()[name] == reported
    finally:
        host.check_output("systemctl start prometheus-postgres-exporter")
    until("it is over", lambda: name not in monitor.firing())


def test_a_second_run_changes_nothing_and_restarts_nothing(host: Host, monitor: Monitor, tmp_path: Path) -> None:
    play(tmp_path, *OPTIONS)
    before, processes = state(host), monitor.processes()
    assert play(tmp_path / "again", *OPTIONS).changed == []
    assert touched(before, state(host)) == []
    assert monitor.processes() == processes


def test_a_change_of_the_rules_is_taken_without_a_restart(host: Host, monitor: Monitor, tmp_path: Path) -> None:
    """As a new version of the collection brings one. A run that was killed before the reload is caught up with."""
    pids = {unit: now.split()[0] for unit, now in monitor.processes().items()}
    host.check_output(f"touch {DIRECTORY}/rules.yml {DIRECTORY}/alertmanager.yml")
    changed = play(tmp_path, *OPTIONS).changed
    assert [entry["task"].partition(" : ")[2] for entry in changed] == [CONFIGURE]
    shown = json.dumps(changed)
    assert "prometheus.service reloaded" in shown
    assert "prometheus-alertmanager.service reloaded" in shown
    assert {unit: now.split()[0] for unit, now in monitor.processes().items()} == pids
    assert play(tmp_path / "again", *OPTIONS).changed == []


def test_what_promtool_refuses_never_counts(host: Host, monitor: Monitor) -> None:
    before, processes = state(host), monitor.processes()
    broken = {"prometheus": "127.0.0.1:9090", "alertmanager": '"'}
    run = playbook("workbot.stability.site", {"__monitoring_addresses": broken}, *OPTIONS)
    output = run.communicate()[0]
    assert run.returncode == 2, output
    assert f"{DIRECTORY}/prometheus.yml: promtool refuses it; nothing was changed" in output
    assert touched(before, state(host)) == []
    assert monitor.processes() == processes


def test_what_has_drifted_is_predicted_and_repaired(host: Host, tmp_path: Path) -> None:
    assert_predicted_and_repaired(host, DRIFTS, tmp_path, *OPTIONS)


def test_a_configuration_that_keeps_prometheus_from_starting_is_repaired(host: Host, tmp_path: Path) -> None:
    host.check_output(f"echo 'no configuration' >{DIRECTORY}/prometheus.yml; systemctl restart prometheus")
    until("it does not run", lambda: host.run("systemctl is-active prometheus").stdout.strip() == "activating")
    play(tmp_path, *OPTIONS)


def test_check_and_drift_and_removal_know_the_monitor(host: Host, tmp_path: Path) -> None:
    host.check_output(f"sed -i /equal:/d {DIRECTORY}/alertmanager.yml")
    found = tmp_path / "drift.json"
    playbook("workbot.stability.drift", {"drift_file": str(found)}, *OPTIONS).communicate()
    said = json.loads(found.read_text(encoding="utf-8"))["hosts"][HOST]
    assert [one["task"] for one in said["differences"]] == [CONFIGURE], said
    play(tmp_path, *OPTIONS)

    host.check_output("systemctl stop prometheus-alertmanager")
    try:
        checked = playbook("workbot.stability.check", {}, INVENTORY).communicate()[0]
    finally:
        host.check_output("systemctl start prometheus-alertmanager")
    assert "alertmanager does not answer" in checked
    assert "the diagnosis did not run" not in checked

    gone = playbook("workbot.stability.remove", {}, INVENTORY, "--check", "--diff").communicate()[0]
    assert f"{DIRECTORY}/workbot.json" in gone


def test_the_one_that_is_missing_is_installed_again(host: Host, monitor: Monitor, tmp_path: Path) -> None:
    before = monitor.processes()["prometheus"]
    host.check_output("apt-get remove --quiet --quiet --assume-yes prometheus-alertmanager")
    play(tmp_path, *OPTIONS)
    until("Alertmanager is back", lambda: monitor.targets().get(("alertmanager", HOST)) == "up")
    assert monitor.processes()["prometheus"] == before


def test_somebody_elses_prometheus_is_not_taken_over(host: Host) -> None:
    host.check_output(f"mv {DIRECTORY} {DIRECTORY}.kept")
    try:
        before = state(host)
        run = playbook("workbot.stability.site", {}, *OPTIONS)
        output = " ".join(run.communicate()[0].split())
        assert run.returncode == 2, output
        assert "that is not of this role" in output
        assert touched(before, state(host)) == []
    finally:
        host.check_output(f"mv {DIRECTORY}.kept {DIRECTORY}")


def test_a_host_without_them_becomes_what_check_mode_said(host: Host, monitor: Monitor, tmp_path: Path) -> None:
    """The last one: nothing of what was measured before stays."""
    host.check_output("apt-get purge --quiet --quiet --assume-yes prometheus prometheus-alertmanager")
    host.check_output(
        f"rm -r {DIRECTORY} {TLS} {UNIT_FILES}/prometheus.service.d {UNIT_FILES}/prometheus-alertmanager.service.d"
    )
    host.check_output("systemctl daemon-reload")
    before = state(host)
    check = play(tmp_path, "--check", *OPTIONS)
    assert touched(before, state(host)) == []
    assert differences(check, play(tmp_path, *OPTIONS)) == []
    assert play(tmp_path / "again", *OPTIONS).changed == []
    until("the new one asks its targets", lambda: monitor.targets().get(("node", HOST)) == "up")
