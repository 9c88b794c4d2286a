# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog on the host: it runs, hardened; it brings back what is killed or hangs; it does what people tell it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

UNIT = "workbot-watchdog.service"
COMMAND = "workbot-watchdog"
STATUS = "/run/workbot-watchdog/status.json"
DIAGNOSE = "/srv/workbot/config/diagnose.json"
HELPER = "/run/workbot-watchdog-act.sock"
# A worker that has not answered yet may take this long before it counts as hung.
START_GRACE = 30

Processes = Callable[[], list[dict[str, Any]]]


def status(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(STATUS).content_string)
    return found


def wait_for(what: Callable[[], Any], seconds: float, text: Callable[[], str]) -> float:
    """Seconds until it was so."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {text()}"
        time.sleep(0.3)
    return time.monotonic() - begun


def workers(host: Any) -> dict[int, dict[str, Any]]:
    return {worker["pid"]: worker for worker in status(host)["readings"]["workers"]}


def all_answer(host: Any, count: int) -> bool:
    found = status(host)
    answered = [worker for worker in found["readings"]["workers"] if worker["answer_ms"] is not None]
    answering = [worker for worker in answered if not worker["problem"]]
    return found["state"] == "healthy" and len(answering) == count


@pytest.fixture
def count(host: Any, pm2_processes: Processes) -> Iterator[int]:
    """How many workers there are; all of them answer, and have done so before, and so it is afterwards."""
    host.check_output(f"{COMMAND} resume")
    number = len(pm2_processes())
    wait_for(lambda: all_answer(host, number), 60, lambda: str(status(host)))
    yield number
    host.run(f"{COMMAND} resume")
    wait_for(lambda: all_answer(host, number), 60, lambda: str(status(host)))


def nginx_answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def actions(host: Any) -> list[dict[str, Any]]:
    run = host.run(f"{COMMAND} history --json --count 1000")
    return [entry for line in run.stdout.splitlines() if (entry := json.loads(line))["kind"] == "action"]


def test_the_service_runs_at_boot_and_tells_systemd(host: Any) -> None:
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running
    properties = service.systemd_properties
    assert (properties["Type"], properties["User"]) == ("notify", "workbot")
    assert properties["StatusText"].startswith("healthy")
    assert host.service("workbot-watchdog-act.socket").is_running


def test_the_units_are_hardened(host: Any) -> None:
    """systemd's own mark: 10 is unsafe, below 5 is its OK."""
    for unit, limit in ((UNIT, 2.5), ("workbot-watchdog-act@.service", 5.0)):
        said = host.check_output(f"systemd-analyze security --no-pager {unit} | tail -n 1")
        assert float(said.split(": ")[1].split()[0]) < limit, said


def test_people_see_the_state(host: Any, count: int) -> None:
    seen = host.run(f"{COMMAND} status")
    shown = seen.stdout
    assert shown.startswith("workbot on ")
    # a busy host is a warning
    assert (": HEALTHY since " if seen.rc == 0 else ": WARNING, serving since ") in shown
    assert shown.count("answers") == count
    told = json.loads(host.check_output(f"{COMMAND} status --json"))
    assert set(told["targets"]) == {"service", "proxy"}
    assert host.file(STATUS).mode == 0o640


@pytest.mark.usefixtures("count")
def test_what_is_told_of_each_worker_is_what_the_host_counts(host: Any) -> None:
    # a new process has told PM2 nothing yet
    wait_for(lambda: all(worker["heap_used"] for worker in workers(host).values()), 60, lambda: str(status(host)))
    limits = status(host)["limits"]
    for pid, worker in workers(host).items():
        files = int(host.check_output("ls /proc/%s/fd | wc -l", str(pid)))
        seconds = sum(map(int, host.file(f"/proc/{pid}/stat").content_string.rpartition(")")[2].split()[11:13])) / 100
        # read at most 15 s ago
        assert worker["open_files"] == pytest.approx(files, abs=10)
        # a sum of ticks of 10 ms, of which neither is an exact float
        assert 0 < worker["cpu_seconds"] <= seconds + 0.01
        assert 0 < worker["heap_used"] < worker["heap_size"] < worker["rss"] < limits["memory"]
        assert worker["heap_size"] < limits["heap"]
        assert 0 < worker["event_loop_ms"]["p50"] <= worker["event_loop_ms"]["p95"]


@pytest.mark.usefixtures("count")
def test_people_see_the_check_of_a_problem_until_it_is_mended(host: Any) -> None:
    """Sooner than the diagnosis is due again: its settings are others."""
    line = "critical  units.nosuch.service  no unit nosuch.service is loaded."
    content = json.loads(host.file(DIAGNOSE).content_string)
    content["units"].append("nosuch.service")
    host.check_output("cp -p %s %s.kept", DIAGNOSE, DIAGNOSE)
    try:
        host.check_output("printf %%s %s > %s", json.dumps(content), DIAGNOSE)
        wait_for(lambda: line in host.run(f"{COMMAND} status").stdout, 90, lambda: str(status(host)))
        shown = host.run(f"{COMMAND} status").stdout
        assert shown.count("nosuch.service") == 2  # the name of the check and its words
        assert "; workbot-diagnose looks again\n" in shown
        assert ": CRITICAL, serving since " in shown
        assert host.run(f"{COMMAND} status").rc == 2
    finally:
        host.check_output("mv %s.kept %s", DIAGNOSE, DIAGNOSE)
    wait_for(lambda: "nosuch" not in host.run(f"{COMMAND} status").stdout, 90, lambda: str(status(host)))


def test_the_service_user_may_ask_too_and_others_may_not(host: Any) -> None:
    assert host.run(f"runuser -u workbot -- {COMMAND} status").rc in (0, 1)
    refused = host.run(f"runuser -u nobody -- {COMMAND} status")
    assert refused.rc != 0
    assert "run this as root or as the service's user" in refused.stderr


def test_there_is_only_one(host: Any) -> None:
    second = host.run(f"runuser -u workbot -- {COMMAND} run")
    assert second.rc != 0
    assert "runs already" in second.stderr


@pytest.mark.soak
def test_a_killed_worker_is_back_without_a_step(host: Any, count: int) -> None:
    """PM2 restarts it by itself."""
    before = len(actions(host))
    killed = next(iter(workers(host)))
    host.check_output(f"kill -KILL {killed}")
    wait_for(lambda: killed not in workers(host) and all_answer(host, count), 20, lambda: str(status(host)))
    assert len(actions(host)) == before


def test_a_hung_worker_is_back_within_twenty_seconds(host: Any, count: int) -> None:
    before = len(actions(host))
    hung, other = list(workers(host))[:2]
    host.check_output(f"kill -STOP {hung}")
    wait_for(lambda: hung not in workers(host) and all_answer(host, count), 20, lambda: str(status(host)))
    assert other in workers(host)
    (step,) = actions(host)[before:]
    assert (step["code"], step["values"]["because"], step["values"]["done"]) == ("kill_worker", "worker_hung", True)


def test_a_pause_is_kept_and_ends_when_told(host: Any, count: int) -> None:
    said = host.check_output(f"{COMMAND} pause --for 10m")
    assert said.startswith("paused until ")
    hung = next(iter(workers(host)))
    host.check_output(f"kill -STOP {hung}")
    wait_for(lambda: status(host)["targets"]["service"]["condition"], 20, lambda: str(status(host)))
    time.sleep(15)
    found = status(host)
    assert found["state"] == "paused"
    assert found["targets"]["service"]["condition"]["code"] == "worker_hung"
    assert hung in workers(host)
    # also after a restart of the watchdog
    host.check_output(f"systemctl restart {UNIT}")
    wait_for(lambda: host.file(STATUS).exists and status(host)["state"] == "paused", 10, lambda: "no status")
    host.check_output(f"{COMMAND} resume")
    # the new watchdog has never seen that worker answer, but it is old enough
    wait_for(lambda: hung not in workers(host) and all_answer(host, count), START_GRACE + 20, lambda: str(status(host)))


@pytest.mark.soak
def test_an_exchange_of_processes_is_not_disturbed(host: Any, count: int) -> None:
    hung = next(iter(workers(host)))
    host.check_output("systemd-run --unit=deploys --collect flock /srv/workbot/.processes.lock sleep 25")
    try:
        host.check_output(f"kill -STOP {hung}")
        wait_for(lambda: status(host)["targets"]["service"]["condition"], 15, lambda: str(status(host)))
        time.sleep(8)
        assert status(host)["targets"]["service"]["inhibition"]["code"] == "deployment"
        assert hung in workers(host)
    finally:
        host.run("systemctl stop deploys")
    wait_for(lambda: hung not in workers(host) and all_answer(host, count), 20, lambda: str(status(host)))


@pytest.mark.soak
@pytest.mark.usefixtures("count")
def test_an_operators_stop_stays(host: Any, pm2_processes: Processes) -> None:
    before = len(actions(host))
    app = pm2_processes()[0]["name"]
    host.check_output(f"workbot-pm2 stop {app}")
    time.sleep(15)
    assert status(host)["targets"]["service"]["inhibition"]["code"] == "stopped_by_operator"
    assert {process["pm2_env"]["status"] for process in pm2_processes()} == {"stopped"}
    assert len(actions(host)) == before
    host.check_output(f"workbot-pm2 start {app}")


@pytest.mark.usefixtures("count")
def test_a_hung_nginx_is_back_within_twenty_seconds(host: Any, address: str) -> None:
    assert nginx_answers(address)
    host.check_output("pkill -STOP -x nginx")
    assert not nginx_answers(address)
    wait_for(lambda: nginx_answers(address), 20, lambda: str(status(host)))


def test_the_root_helper_answers_the_watchdog_alone(host: Any) -> None:
    ask = (
        "import socket; c = socket.socket(socket.AF_UNIX); c.connect('{HELPER}');"
        " c.sendall(b'restart-daemon\\n'); print(c.recv(999).decode())"
    ).replace("{HELPER}", HELPER)
    daemon = host.file("/srv/workbot/active/pm2/pm2.pid").content_string
    for user in ("root", "workbot"):
        assert host.check_output(f'runuser -u {user} -- python3 -c "{ask}"').startswith("error only workbot-watchdog")
    assert host.run(f'runuser -u nobody -- python3 -c "{ask}"').rc != 0
    assert host.file("/srv/workbot/active/pm2/pm2.pid").content_string == daemon


@pytest.mark.soak
def test_it_costs_next_to_nothing(host: Any) -> None:
    """Below 1 % of one core and 40 MB."""
    pid = host.service(UNIT).systemd_properties["MainPID"]
    ticks = f"awk '{{print $14 + $15 + $16 + $17}}' /proc/{pid}/stat"
    before = int(host.check_output(ticks))
    time.sleep(30)
    spent = int(host.check_output(ticks)) - before
    assert spent / 100 / 30 < 0.01
    rss = int(host.check_output(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status"))
    assert rss < 40 * 1024
