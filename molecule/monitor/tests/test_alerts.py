# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the monitor reports to people: alerts of a real Alertmanager, beside a real Prometheus, by a real receiver."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alerts import FIRST, SECOND, SECRET, UNIT, VARIABLES, Alarm, problem, resolved
from hosts import playbook
from testinfra.host import Host

INVENTORY = "--inventory=molecule/monitor/inventory"
DIRECTORY = "/etc/alarm-alert"
MONITOR: dict[str, Any] = {
    **VARIABLES,
    # as where the host is in no other group
    "service_runs_here": False,
    "alerting_heartbeat_timeout": 60,
}
PROBLEM = {"alertname": "NodejsServiceProblem", "severity": "critical", "service": "alarm", "instance": "app2"}
HUNG = "alarm on app2: CRITICAL: a worker hangs"
OVER = "alarm on app2: RESOLVED: a worker hangs"
# What inhibits an alert has 15 s to fire, and alerting asks every 15 s.
SOON = 45.0
# An alert that is over may be one that Alertmanager has lost, for 90 s.
SURE = 130.0
# The sign of life is half a minute old at times, and too old after a minute.
SILENT = 130.0


@dataclasses.dataclass(frozen=True)
class Monitor(Alarm):
    def apply(self, *options: str, **variables: Any) -> tuple[int, str]:
        running = playbook("molecule/monitor/alerting.yml", {**MONITOR, **variables}, INVENTORY, *options)
        output, _none = running.communicate(timeout=300)
        return running.returncode, output

    def amtool(self, *arguments: str) -> str:
        words = " ".join(f"'{argument}'" for argument in arguments)
        return self.host.check_output(f"amtool --alertmanager.url=http://127.0.0.1:9093 {words}")

    def fires(self, *options: str, **labels: str) -> None:
        """For five minutes, unless the options say when it ends."""
        said = [f'{name}="{value}"' for name, value in labels.items()]
        self.amtool("alert", "add", *said, "--annotation=code=worker_hung", *options)

    def ends(self, **labels: str) -> None:
        self.fires(f"--end={time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}", **labels)

    def knows_prometheus(self) -> bool:
        return "NodejsServiceMonitoring" in self.amtool("alert", "query", "alertname=NodejsServiceMonitoring")

    def remove(self) -> None:
        super().remove()
        self.host.run("rm -rf %s /etc/prometheus/nodejs-services/alarm.json", DIRECTORY)

    def set_up(self) -> None:
        code, output = self.apply()
        assert code == 0, output
        self.until(self.knows_prometheus, limit=60)


@pytest.fixture(scope="module")
def installed(host: Host) -> Iterator[Monitor]:
    monitor = Monitor(host)
    with monitor.installed():
        yield monitor


@pytest.fixture
def monitor(installed: Monitor) -> Iterator[Monitor]:
    """Nothing is open, waiting or failing, and nothing was received yet."""
    installed.unset(FIRST, "delay")
    installed.host.check_output("systemctl restart prometheus-alertmanager")
    installed.until(lambda: installed.host.socket("tcp://127.0.0.1:9093").is_listening)
    installed.until(installed.knows_prometheus, limit=60)
    # a run would go on for a while, and ends with the test message
    installed.host.check_output(
        "systemctl stop alarm-alert.timer alarm-alert.service && rm -f /var/lib/alarm-alert/state.json"
        " && alarm-alert test && systemctl start alarm-alert.timer"
    )
    installed.forget()
    yield installed


def test_an_alert_becomes_one_message_and_its_end_one(monitor: Monitor) -> None:
    silenced = {**PROBLEM, "instance": "app3"}
    monitor.amtool("silence", "add", "instance=app3", "--comment=at work", "--author=test")
    began = time.monotonic()
    for labels in (PROBLEM, silenced, {**PROBLEM, "service": "other"}, {**PROBLEM, "severity": "info"}):
        monitor.fires(**labels)
    monitor.fires(alertname="NodejsServiceHostDown", severity="critical", instance="workbot-test")
    monitor.fires(alertname="NodejsServiceDatabaseDown", severity="critical", instance="workbot-test")
    monitor.until(lambda: len(monitor.titles(FIRST)) >= 2, limit=SOON)
    print(f"reported after {time.monotonic() - began:.0f} s")
    assert set(monitor.titles(FIRST)) == {HUNG, "alarm on workbot-test: CRITICAL: a worker hangs"}
    assert monitor.status()["problems"][0]["severity"] == "critical"
    began = time.monotonic()
    monitor.ends(**PROBLEM)
    monitor.until(lambda: OVER in monitor.titles(FIRST), limit=SURE)
    print(f"all-clear after {time.monotonic() - began:.0f} s")
    assert len(monitor.titles(FIRST)) == 3
    assert monitor.titles(SECOND) == monitor.titles(FIRST)
    assert monitor.received(FIRST, "GET")[0]["path"] == f"/beat/{SECRET}"


def test_a_killed_engine_loses_nothing_and_a_restart_of_alertmanager_ends_nothing(monitor: Monitor) -> None:
    monitor.set(FIRST, "delay", "0.4")
    workers = [{**PROBLEM, "worker": str(number)} for number in range(6)]
    for labels in workers:
        monitor.fires(**labels)
    monitor.until(lambda: len(monitor.received(FIRST)) >= 2, limit=SOON)
    monitor.host.check_output("systemctl kill --signal=SIGKILL %s; systemctl reset-failed %s", UNIT, UNIT)
    monitor.unset(FIRST, "delay")
    monitor.host.check_output("systemctl restart prometheus-alertmanager")
    # an alert that Prometheus has it gets again, at last
    monitor.until(monitor.knows_prometheus, limit=75)
    time.sleep(20)
    for labels in workers:
        monitor.fires(**labels)
    # on a busy machine the monitoring may have been silent as well
    monitor.until(lambda: monitor.titles(SECOND).count(HUNG) == 6, limit=SOON)
    before = monitor.titles(FIRST).count(HUNG)
    assert before - 6 in (0, 1)
    time.sleep(75)
    assert (monitor.titles(FIRST).count(HUNG), OVER in monitor.titles(FIRST)) == (before, False)


def test_a_prometheus_that_hangs_is_told_once_and_ends_nothing(monitor: Monitor) -> None:
    monitor.fires(**PROBLEM)
    monitor.until(lambda: monitor.titles(FIRST) == [HUNG], limit=SOON)
    monitor.host.check_output("systemctl kill --signal=SIGSTOP prometheus")
    monitor.ends(**PROBLEM)
    try:
        monitor.until(lambda: len(monitor.titles(FIRST)) == 2, limit=SILENT)
        assert monitor.titles(FIRST)[1].endswith("CRITICAL: the monitoring is silent")
        beats = len(monitor.received(FIRST, "GET"))
        # by now it would be over, if anybody could know
        time.sleep(60)
        assert (len(monitor.titles(FIRST)), len(monitor.received(FIRST, "GET"))) == (2, beats)
    finally:
        monitor.host.check_output("systemctl kill --signal=SIGCONT prometheus")
    monitor.until(lambda: len(monitor.titles(FIRST)) == 4, limit=SURE + 60)
    assert monitor.titles(FIRST)[2].endswith("RESOLVED: the monitoring is silent")
    assert monitor.titles(FIRST)[3] == OVER


def test_an_alertmanager_that_somebody_has_stopped_is_a_warning(monitor: Monitor) -> None:
    monitor.host.check_output("systemctl stop prometheus-alertmanager")
    try:
        monitor.until(lambda: len(monitor.titles(FIRST)) == 1, limit=SILENT)
        assert monitor.titles(FIRST)[0].endswith("WARNING: the monitoring was stopped by an operator")
        assert "connection refused" in monitor.received(FIRST)[0]["message"]
    finally:
        monitor.host.check_output("systemctl start prometheus-alertmanager")
    monitor.until(lambda: len(monitor.titles(FIRST)) == 2, limit=SILENT)
    assert len(monitor.titles(FIRST)) == 2


def test_a_host_that_is_only_the_monitor_has_nothing_of_the_service(monitor: Monitor) -> None:
    code, output = monitor.apply("--check", "--diff")
    assert (code, "changed=0 " in output) == (0, True), output
    assert monitor.host.file(DIRECTORY).listdir() == ["alert-secrets.json", "alert.json"]
    assert monitor.host.file(f"{DIRECTORY}/alert-secrets.json").mode == 0o600
    for path in ("/srv/alarm", "/var/log/alarm", "/etc/systemd/system/alarm-alert.path"):
        assert not monitor.host.file(path).exists, path
    assert not monitor.host.user("alarm").exists
    shown = monitor.host.run("alarm-alert test")
    assert (shown.rc, shown.stdout.splitlines()) == (0, ["json (1): delivered", "json (2): delivered"])
    shown = monitor.host.run("alarm-alert status")
    assert (shown.rc, SECRET in shown.stdout, "channel json (2): ok, 0 waiting" in shown.stdout) == (0, False, True)


def test_a_host_that_is_its_own_monitor_has_one_engine_and_loses_it_to_another_host(
    monitor: Monitor, tmp_path: Path
) -> None:
    app = Alarm(monitor.host)
    app.set_up()  # also of the user, as on an app host
    monitor.host.check_output("rm -f /var/lib/alarm-alert/state.json")
    app.run()
    monitor.forget()
    app.happens(problem("no_answer"))
    monitor.until(lambda: len(monitor.titles(FIRST)) == 1)
    # both: the watchdog's events count no more, and what it had reported is neither over nor reported again
    code, output = app.apply(INVENTORY, alerting_heartbeat_timeout=60)
    assert code == 0, output
    assert not monitor.host.file("/etc/systemd/system/alarm-alert.path").exists
    assert monitor.host.run("systemctl is-active alarm-alert.path").rc != 0
    app.happens(problem("daemon_dead"), resolved("no_answer"))
    monitor.fires(**PROBLEM)
    monitor.until(lambda: len(monitor.titles(FIRST)) > 1, limit=SOON)
    assert monitor.titles(FIRST)[1:] == [HUNG]
    assert [entry["key"] for entry in monitor.status()["problems"]] == ["app2/NodejsServiceProblem"]
    code, output = app.apply(INVENTORY, "--check", alerting_heartbeat_timeout=60)
    assert (code, "changed=0 " in output) == (0, True), output
    # a monitor elsewhere
    elsewhere = tmp_path / "elsewhere.yml"
    elsewhere.write_text("monitor: {hosts: {monitor1: {ansible_host: 192.0.2.1}}}", encoding="utf-8")
    code, output = app.apply(f"--inventory={elsewhere}")
    assert code == 0, output
    assert monitor.host.run("systemctl list-units --all --no-legend 'alarm-alert.*'").stdout == ""
    for gone in ("/srv/alarm/config/alert-secrets.json", "/var/lib/alarm-alert"):
        assert not monitor.host.file(gone).exists, gone
    shown = monitor.host.run("alarm-alert status")
    assert (shown.rc, shown.stdout) == (
        0,
        "alarm: monitor1, the monitor of all hosts, reports what happens here: see this command there\n",
    )
    assert monitor.host.run("alarm-alert test").rc == 1
    # and none: what happened long before is no news
    monitor.forget()
    app.set_up()
    app.happens(problem("worker_hung"))
    monitor.until(lambda: any("a worker hangs" in title for title in monitor.titles(FIRST)))
    assert not [title for title in monitor.titles(FIRST) if "app2" in title]


@pytest.mark.usefixtures("installed")
def test_urls_that_the_monitor_lacks_are_asked_for_before_anything_changes(tmp_path: Path) -> None:
    hosts = {
        "app": {"hosts": {"workbot-test": {"alerting_urls": MONITOR["alerting_urls"]}}},
        "monitor": {"hosts": {"monitor1": {"ansible_host": "192.0.2.1"}}},
    }
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps(hosts), encoding="utf-8")
    variables = {name: value for name, value in VARIABLES.items() if name != "alerting_urls"}
    running = playbook("molecule/recovery/alerting.yml", variables, f"--inventory={inventory}", "--check")
    output, _none = running.communicate(timeout=180)
    assert (running.returncode, SECRET in output, "changed=0 " in output) == (2, False, True), output
    assert "is set for app hosts and not for monitor1 of the group monitor" in output
