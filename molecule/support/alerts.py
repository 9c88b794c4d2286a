# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alerting on the test host for a service `alarm`: two receivers of webhooks, and files as its watchdog writes them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts import playbook
from testinfra.host import Host

RECEIVER = (Path(__file__).parent / "webhook.py").read_text(encoding="utf-8")
PLAYBOOK = "molecule/recovery/alerting.yml"
DIRECTORY = "/run/alarm-webhooks"
FIRST, SECOND = "8191", "8192"
# another one in each session: the journal keeps what an earlier one did
SECRET = secrets.token_hex(8)
RUN = "/run/alarm-watchdog"
EVENTS = "/var/lib/alarm-watchdog/events"
UNIT = "alarm-alert.service"
VARIABLES: dict[str, Any] = {
    "service_name": "alarm",
    # its part of the host is counted, and other services come after it
    "service_instances": 1,
    "service_heap_limit": "96M",
    "service_database_enabled": False,
    "service_required_secrets": [],
    "service_secrets": {},
    "alerting_urls": [f"json://user:{SECRET}@127.0.0.1:{port}/" for port in (FIRST, SECOND)],
    "alerting_heartbeat_url": f"http://127.0.0.1:{FIRST}/beat/{SECRET}",
    "alerting_messages_per_hour": 1000,
    "alerting_heartbeat_timeout": 30,
    "metrics_textfile_directory": "/run/alarm-textfile",
}

# As the watchdog writes events: readable by its owner alone, by rename, in their order.
WRITE = """
import json, os, sys, time
directory = sys.argv[1]
for number, event in enumerate(json.loads(sys.argv[2])):
    name = f"{time.time_ns():020d}-{os.getpid()}-{number}.json"
    with open(os.open(f"{directory}/.{name}", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        json.dump({"id": name, "time": time.time(), "values": {}, "message": "", **event}, file)
    os.rename(f"{directory}/.{name}", f"{directory}/{name}")
"""
# Stands in for the watchdog: a status each second, written by rename.
WATCHDOG = """
import json, os, time
while True:
    with open("status", "w") as file:
        json.dump({"service": "alarm", "time": time.time(), "problems": []}, file)
    os.rename("status", "status.json")
    time.sleep(1)
"""
WATCHDOG_UNIT = f"""[Service]
User=alarm
RuntimeDirectory=alarm-watchdog
WorkingDirectory={RUN}
ExecStart=/usr/bin/python3 /run/alarm-standin.py
"""


@dataclass(frozen=True)
class Alarm:
    host: Host

    def apply(self, *options: str, **variables: Any) -> tuple[int, str]:
        """Exit code and output of the playbook."""
        running = playbook(PLAYBOOK, {**VARIABLES, **variables}, *options)
        output, _none = running.communicate(timeout=180)
        return running.returncode, output

    def receive(self, port: str) -> None:
        """From now on a receiver is there."""
        self.host.check_output(
            "mkdir -p %s && systemctl reset-failed alarm-webhook-%s 2>/dev/null; true", DIRECTORY, port
        )
        self.host.check_output(
            "systemd-run --quiet --unit=alarm-webhook-%s python3 -c %s %s %s", port, RECEIVER, port, DIRECTORY
        )
        self.until(lambda: self.host.socket(f"tcp://127.0.0.1:{port}").is_listening)

    def go_away(self, port: str) -> None:
        self.host.check_output("systemctl stop alarm-webhook-%s", port)

    def set(self, port: str, name: str, value: str) -> None:
        self.host.check_output("echo %s > %s/%s.%s", value, DIRECTORY, port, name)

    def unset(self, port: str, name: str) -> None:
        self.host.check_output("rm -f %s/%s.%s", DIRECTORY, port, name)

    def forget(self) -> None:
        """What was received so far."""
        self.host.check_output("rm -f %s/*.jsonl", DIRECTORY)

    def received(self, port: str, method: str = "POST") -> list[dict[str, Any]]:
        lines = self.host.run("cat %s/%s.jsonl", DIRECTORY, port).stdout.splitlines()
        return [line for line in map(json.loads, lines) if line["method"] == method and line["status"] == 200]

    def titles(self, port: str) -> list[str]:
        return [line["title"] for line in self.received(port)]

    def happens(self, *events: dict[str, Any]) -> None:
        """The watchdog writes these events."""
        self.host.check_output("runuser -u alarm -- python3 -c %s %s %s", WRITE, EVENTS, json.dumps(events))

    def run(self) -> None:
        self.host.check_output("systemctl start %s", UNIT)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.host.run("alarm-alert status --json").stdout)
        return found

    def until(self, that: Callable[[], bool], limit: float = 20, run: bool = False) -> None:
        """Waits until that holds; with `run`, the timer's minute is not waited for."""
        deadline = time.monotonic() + limit
        while not that():
            assert time.monotonic() < deadline, (self.titles(FIRST), self.titles(SECOND))
            time.sleep(0.5)
            if run:
                self.run()

    def set_up(self) -> None:
        code, output = self.apply()
        assert code == 0, output
        self.host.check_output("mkdir -p %s && chown -R alarm: /var/lib/alarm-watchdog", EVENTS)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The role is applied and both receivers are there; in the end nothing of it is left."""
        self.remove()  # of a run that was stopped
        self.host.check_output("mkdir -p %s", VARIABLES["metrics_textfile_directory"])
        for port in (FIRST, SECOND):
            self.receive(port)
        self.set_up()
        yield
        self.remove()

    def watch(self) -> None:
        """The watchdog is there and writes its status."""
        self.host.check_output("printf %%s %s > /run/alarm-standin.py", WATCHDOG)
        self.host.check_output("printf %%s %s > /etc/systemd/system/alarm-watchdog.service", WATCHDOG_UNIT)
        self.host.check_output("systemctl daemon-reload && systemctl restart alarm-watchdog")
        self.until(lambda: bool(self.host.file(f"{RUN}/status.json").exists))

    def remove(self) -> None:
        """Nothing of the service is left on the host."""
        self.host.run("systemctl disable alarm-alert.path alarm-alert.timer alarm-metrics; systemctl stop 'alarm-*'")
        self.host.run(
            "rm -rf /etc/systemd/system/alarm-* /usr/local/bin/alarm-alert /usr/local/lib/alarm-* /var/lib/alarm-*"
            " /run/alarm* /srv/alarm /opt/alarm /var/log/alarm /etc/tmpfiles.d/alarm.conf"
            " /usr/local/share/ca-certificates/alarm-extra.crt /etc/ansible/facts.d/alarm-plan.fact"
        )
        self.host.check_output("update-ca-certificates")
        self.host.run("userdel alarm; userdel alarm-alert; systemctl daemon-reload")


def problem(code: str = "worker_hung", severity: str = "critical", **more: Any) -> dict[str, Any]:
    return {"kind": "problem", "key": f"service.{code}", "code": code, "severity": severity, **more}


def resolved(code: str = "worker_hung") -> dict[str, Any]:
    return {"kind": "resolved", "key": f"service.{code}", "code": code, "severity": "info"}
