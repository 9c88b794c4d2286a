# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics as Prometheus' own tools and Debian's node_exporter see them, and the alert rules that come with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import Code
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.text import render
from ansible_collections.workbot.stability.plugins.module_utils._programs.metrics.watchdog import metrics_of
from hosts import ROOT, put
from prometheus import RULES
from testinfra.host import Host

# Neither is installed: a test host has no use for their daemons.
TOOLS = "/var/tmp/prometheus-tools"
PORT = "9199"
STATUS = {
    "time": 1764100000.5,
    "state": "recovering",
    "targets": {
        "service": {"phase": "recovering", "inhibition": {"code": "deployment"}},
        "proxy": {"phase": "healthy", "inhibition": None},
    },
    "problems": [{"key": "service.worker_hung", "severity": "critical"}],
    "budget": {"used": {"service": 2, "proxy": 0}, "limit": 5, "window": 900},
    "actions_total": 7,
    "steps": {"kill_worker": 6, "restart_proxy": 1},
    "live": {"release": "3fa9", "activation": "3fa9@2"},
    "deployments": {
        "failed": {"time": 1764000000.5, "seconds": 12.5, "release": "77aa"},
        "succeeded": {"time": 1763000000.5, "seconds": 20.5, "release": "3fa9"},
    },
    "diagnosis": {
        "ended": 1764099900.5,
        "interval": 300,
        "counts": {"ok": 44, "warning": 1, "unknown": 0, "critical": 0},
        "raised": [{"check": "disk./", "status": "warning"}],
        "certificate_days": 20.5,
        "connections": 12,
        "connections_limit": 40,
        "server_connections_percent": 12.5,
        "backup_hours": 5.5,
        "proof_days": 2,
    },
    "watchdog": {"cpu_seconds": 1.5, "commands_cpu_seconds": 3.25, "rss": 31457280},
    "limits": {"heap": 268435456, "memory": 402653184},
    "readings": {
        "daemon": {"rss": 73400320},
        "workers": [
            {"pm_id": 0, "pid": 9, "rss": 104857600, "restarts": 3, "answer_ms": 12.5, "online": True}
            | {"age": 60.5, "cpu_seconds": 1.25, "open_files": 30, "heap_used": 20971520, "heap_size": 31457280}
            | {"event_loop_ms": {"p50": 0.5, "p95": 12.5}, "pool": {"total": 5, "idle": 3, "waiting": 0, "max": 10}}
        ],
        "host": {"available": 1000, "total": 4000},
        "disk": {"/srv/alarm": {"free": 5000000, "inodes": 60000}},
        "log_bytes": 7000,
        "probe_seconds": 0.012,
    },
}

RUNBOOKS = ROOT / "docs" / "runbooks.md"
CASES = ROOT / "molecule" / "recovery" / "fixtures" / "rules.test.yml"


@pytest.fixture(scope="module")
def tools(host: Host) -> Iterator[str]:
    host.check_output("rm -rf %s && mkdir -p %s/textfile && apt-get update -qq", TOOLS, TOOLS)
    # Debian 12 has promtool in the package prometheus
    host.check_output("cd %s && { apt-get download -qq promtool || apt-get download -qq prometheus; }", TOOLS)
    host.check_output("cd %s && apt-get download -qq prometheus-node-exporter", TOOLS)
    host.check_output("cd %s && for file in *.deb; do dpkg -x $file . || exit 1; done", TOOLS)
    yield f"{TOOLS}/usr/bin"
    host.check_output("rm -r %s", TOOLS)


def test_promtool_has_nothing_to_say_to_the_metrics(host: Host, tools: str) -> None:
    checked = host.run(f"printf %%s %s | {tools}/promtool check metrics", render("alarm", metrics_of(STATUS)))
    assert (checked.rc, checked.stdout + checked.stderr) == (0, "")


def test_nor_to_those_of_the_watchdog_that_runs(host: Host, tools: str) -> None:
    written = render("workbot", metrics_of(json.loads(host.check_output("cat /run/workbot-watchdog/status.json"))))
    assert written.count("nodejs_service_worker_up{") == 2
    checked = host.run(f"printf %%s %s | {tools}/promtool check metrics", written)
    assert (checked.rc, checked.stdout + checked.stderr) == (0, "")


def test_each_rule_is_tried_and_says_what_to_do(host: Host, tools: str) -> None:
    put(host, f"{TOOLS}/rules.yml", RULES.read_text(encoding="utf-8"))
    put(host, f"{TOOLS}/test.yml", CASES.read_text(encoding="utf-8"))
    checked = host.run(
        f"{tools}/promtool check rules {TOOLS}/rules.yml && {tools}/promtool test rules {TOOLS}/test.yml"
    )
    assert checked.rc == 0, checked.stdout + checked.stderr
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    told = re.findall("^## (.+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == list(rules)
    for name, rule in rules.items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks.md#{name.lower()}")
        code = rule["annotations"].get("code", "{{")
        assert "{{" in code or code in set(Code), name
        assert CASES.read_text(encoding="utf-8").count(f'"{name}", alertstate="firing"') == 1


def test_node_exporter_takes_them(host: Host, tools: str) -> None:
    host.check_output(f"printf %%s %s > {TOOLS}/textfile/alarm.prom", render("alarm", metrics_of(STATUS)))
    host.check_output(
        f"systemd-run --quiet --unit=molecule-exporter {tools}/prometheus-node-exporter --collector.disable-defaults"
        f" --collector.textfile --collector.textfile.directory={TOOLS}/textfile --web.listen-address=127.0.0.1:{PORT}"
    )
    try:
        shown = host.check_output(
            "python3 -c %s",
            "import time, urllib.request\n"
            "for _try in range(50):\n"
            "    time.sleep(0.2)\n"
            "    try:\n"
            f"        print(urllib.request.urlopen('http://127.0.0.1:{PORT}/metrics').read().decode())\n"
            "        break\n"
            "    except OSError:\n"
            "        pass\n",
        )
    finally:
        host.run("systemctl stop molecule-exporter")
    assert 'nodejs_service_worker_rss_bytes{service="alarm",worker="0"} 1.048576e+08' in shown
    assert "node_textfile_scrape_error 0" in shown
