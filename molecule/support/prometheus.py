# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Prometheus with the collection's rules, on the test host while something is tried there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import yaml
from hosts import ROOT, put
from testinfra.host import Host
from waiting import until

RULES = ROOT / "roles" / "monitoring" / "files" / "prometheus-rules.yml"
# None of it is installed: a test host has no use for its daemon.
DIRECTORY = "/var/tmp/prometheus"
UNIT = "molecule-prometheus"
ADDRESS, NODE = "127.0.0.1:9290", "127.0.0.1:9100"
# Seconds from one scrape, and one evaluation of the rules, to the next.
INTERVAL = 2
ASK = f"""
import json, sys, urllib.error, urllib.request

def answer(path):
    try:
        return json.load(urllib.request.urlopen("http://{ADDRESS}/api/v1/" + path, timeout=20))["data"]
    except urllib.error.HTTPError as error:
        return error.read().decode()

print(json.dumps([answer(path) for path in json.loads(sys.argv[1])]))
"""
POST = f"""
import sys, urllib.request
urllib.request.urlopen("http://{ADDRESS}/api/v1/" + sys.argv[1], data=b"", timeout=20)
"""


@dataclass(frozen=True, order=True)
class Alert:
    """One that was pending or firing."""

    rule: str
    key: str
    """What is wrong, where that is a label of the rule."""
    severity: str
    fired: bool

    def __str__(self) -> str:
        return " ".join(filter(None, (self.rule, self.key)))


@dataclass(frozen=True)
class Prometheus:
    host: Host

    def get(self, *paths: str) -> list[Any]:
        """Of each the data, or what is wrong with the question."""
        answers: list[Any] = json.loads(self.host.check_output("python3 -c %s %s", ASK, json.dumps(paths)))
        return answers

    def query(self, *expressions: str) -> list[Any]:
        """Of each the series, or what is wrong with it."""
        answers = self.get(*(f"query?{urlencode({'query': expression})}" for expression in expressions))
        return [answer["result"] if isinstance(answer, dict) else answer for answer in answers]

    def alerts(self, began: float, ended: float, service: str = "workbot") -> frozenset[Alert]:
        """Those of a service that were pending or firing at any moment of that time."""
        seconds = max(1, round(ended - began))
        active = f'last_over_time(ALERTS{{service="{service}"}}[{seconds}s])'
        expression = f"count by (alertname, alertstate, key, severity) ({active})"
        (answer,) = self.get(f"query?{urlencode({'query': expression, 'time': ended})}")
        states: dict[tuple[str, str, str], set[str]] = {}
        for one in answer["result"]:
            name = (one["metric"]["alertname"], one["metric"].get("key", ""), one["metric"]["severity"])
            states.setdefault(name, set()).add(one["metric"]["alertstate"])
        return frozenset(Alert(*name, "firing" in seen) for name, seen in states.items())

    def forget(self) -> None:
        """Nothing that was measured so far counts any more: what it made active ends with the next evaluation."""
        every = urlencode({"match[]": '{__name__!=""}'})
        self.host.check_output("python3 -c %s %s", POST, f"admin/tsdb/delete_series?{every}")


def targets(address: str) -> dict[str, Any]:
    """Settings of a job that scrapes this alone."""
    return {"static_configs": [{"targets": [address]}]}


@contextmanager
def running(host: Host, scrapes: dict[str, dict[str, Any]]) -> Iterator[Prometheus]:
    """By the name of a job its settings; returns when all of them are there."""
    settings = {
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": job, **scrape} for job, scrape in scrapes.items()],
    }
    host.check_output("rm -rf %s && mkdir -p %s && apt-get update -qq", DIRECTORY, DIRECTORY)
    host.check_output("cd %s && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .", DIRECTORY)
    put(host, f"{DIRECTORY}/rules.yml", RULES.read_text(encoding="utf-8"))
    put(host, f"{DIRECTORY}/prometheus.yml", yaml.safe_dump(settings))
    host.check_output(
        f"systemd-run --quiet --collect --nice=10 --unit={UNIT} {DIRECTORY}/usr/bin/prometheus"
        f" --config.file={DIRECTORY}/prometheus.yml --storage.tsdb.path={DIRECTORY}/data"
        f" --web.listen-address={ADDRESS} --web.enable-admin-api"
    )
    try:
        found = Prometheus(host)
        until("Prometheus answers", lambda: host.run("python3 -c %s %s", ASK, '["query?query=up"]').rc == 0, 60)
        until("all are scraped", lambda: len(found.query("up == 1")[0]) == len(scrapes), 60)
        yield found
    finally:
        host.run(f"systemctl stop {UNIT}; rm -r {DIRECTORY}")
