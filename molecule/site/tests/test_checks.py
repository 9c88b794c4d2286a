# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real thing is broken, and the diagnosis says so; afterwards the host is as it was.

The readings of these runs are kept beside the host's own, which are not to remember what was broken here.
"""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import issue
from hosts import playbook
from waiting import BUSY, until

COMMAND = "/usr/local/bin/workbot-diagnose"
CONFIG = "/srv/workbot/config/diagnose.json"
ENVIRONMENT = "/srv/workbot/config/environment"
TRIAL = "/tmp/molecule-checks"
SITE = "/etc/nginx/conf.d/molecule-certificate.conf"
SECRET = "changeme-molecule-3q8ZtW5vXb"
READINGS = "cat /var/lib/workbot-diagnose/*.json | sha256sum"
LIMIT = "--nofile --noheadings --raw --output=SOFT"
Findings = dict[str, dict[str, Any]]
Diagnose = Callable[..., Findings]


@pytest.fixture(scope="module", autouse=True)
def unattended(host: Any) -> Iterator[None]:
    """The watchdog would repair what is broken here."""
    host.check_output("workbot-watchdog pause --for 15m")
    yield
    host.check_output("workbot-watchdog resume")


@pytest.fixture(scope="module")
def settings(host: Any) -> Iterator[dict[str, Any]]:
    """The host's own settings, with the readings in a directory of the tests' own."""
    host.check_output("rm -rf %s && install -d -o workbot -g workbot %s", TRIAL, TRIAL)
    found: dict[str, Any] = json.loads(host.file(CONFIG).content_string)
    yield {**found, "state_file": f"{TRIAL}/state.json", "days_file": f"{TRIAL}/days.json"}
    host.check_output("rm -rf %s", TRIAL)


@pytest.fixture
def diagnose(host: Any, settings: dict[str, Any]) -> Diagnose:
    """Runs the command with changed settings, and returns the findings by their check's name."""

    def run(*checks: str, **sections: dict[str, Any]) -> Findings:
        changed = {name: {**settings[name], **values} for name, values in sections.items()}
        write(host, f"{TRIAL}/config.json", json.dumps({**settings, **changed}))
        chosen = " ".join(f"--check {name}" for name in checks)
        report = json.loads(host.run(f"{COMMAND} --json --config {TRIAL}/config.json {chosen}").stdout)
        return {finding["check"]: finding for finding in report["findings"]}

    return run


def write(host: Any, path: str, content: str) -> None:
    host.check_output(f"printf %s {shlex.quote(content)} > {path}")


def statuses(findings: Findings) -> dict[str, str]:
    return {name: finding["status"] for name, finding in findings.items()}


@contextmanager
def stopped(host: Any, *pids: str) -> Iterator[None]:
    """By a signal: they are there, and do nothing."""
    host.check_output(f"kill -STOP {' '.join(pids)}")
    try:
        yield
    finally:
        host.check_output(f"kill -CONT {' '.join(pids)}")


def workers(host: Any) -> list[str]:
    found: list[str] = host.check_output("pgrep -f '[n]ode /srv/workbot/releases'").split()
    return found


def test_a_worker_that_hangs_is_named(host: Any, diagnose: Diagnose) -> None:
    assert statuses(diagnose("event_loop")) == {"event_loop": "ok"}
    pid = workers(host)[0]
    with stopped(host, pid):
        # the first question is taken by the hung worker, the later ones only by the others: it is seen both ways
        for _look in range(2):
            (finding,) = diagnose("event_loop").values()
            assert finding["status"] == "critical"
            assert f"process {pid}" in finding["message"]


def test_half_the_host_broken_takes_no_longer(host: Any, diagnose: Diagnose) -> None:
    daemon = host.file("/srv/workbot/active/pm2/pm2.pid").content_string.strip()
    nginx = host.check_output("pgrep nginx").split()
    before = host.check_output("pgrep -f '[G]od Daemon'")
    host.check_output("systemctl stop 'postgresql@*'")
    try:
        with stopped(host, daemon, *nginx):
            until("a diagnosis takes no longer", lambda: seconds_of(host) < 2, BUSY)
            findings = known(diagnose)
    finally:
        host.check_output("systemctl start postgresql")
    # not event_loop: the workers listen themselves, and answer without the daemon
    broken = {"health.http", "proxy", "websocket./ws", "nginx", "processes", "database"}
    assert {name for name in broken if findings.get(name) == "critical"} == broken
    assert findings["disk./"] == "ok"
    assert host.check_output("pgrep -f '[G]od Daemon'") == before
    asked = f"{COMMAND} --check health --check proxy --check database"
    until("the host is well again", lambda: host.run(asked).rc == 0, BUSY)


def known(diagnose: Diagnose) -> dict[str, str]:
    """What is found once the host has the time to ask everything: until then it says what it does not know."""

    def found() -> dict[str, str]:
        every = statuses(diagnose())
        return {} if "unknown" in every.values() else every

    return until("everything is known", found, BUSY)


def seconds_of(host: Any) -> float:
    """From the call to the end of the command, its start included."""
    timed = f"TIMEFORMAT=%R; time {COMMAND} --read-only > /dev/null"
    return float(host.run(f"bash -c {shlex.quote(timed)}").stderr.split()[-1])


def test_restarts_are_counted_also_those_that_pm2_does_not_count(host: Any, diagnose: Diagnose) -> None:
    before = diagnose()
    pid = workers(host)[0]
    host.check_output("kill -KILL %s", pid)
    until("another one is in its place", lambda: pid not in (now := workers(host)) and len(now) >= 2, limit=30)
    after = diagnose()
    names = [name for name in after if name.startswith("processes.restarts.")]
    assert sum(after[name]["value"] - before[name]["value"] for name in names) == 1


@pytest.fixture(scope="module")
def certificate(host: Any) -> Iterator[Callable[[float], str]]:
    """Has Nginx serve a certificate that expires in so many days; returns where."""

    def serve(days: float) -> str:
        # for 90 days from when it was issued: one for fewer has other levels
        issued = issue("molecule.test", begins=min(days, 89) - 90, ends=days)
        write(host, "/etc/nginx/molecule.pem", issued.pem + issued.key_pem())
        pair = "ssl_certificate molecule.pem; ssl_certificate_key molecule.pem;"
        write(host, SITE, f"server {{ listen 127.0.0.1:8443 ssl; server_name molecule.test; {pair} }}")
        host.check_output("nginx -t 2>&1 && systemctl reload nginx")
        time.sleep(1)
        return "https://127.0.0.1:8443"

    yield serve
    host.check_output("rm -f %s /etc/nginx/molecule.pem && systemctl reload nginx", SITE)


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (15, "warning"), (3, "critical"), (-0.5, "critical")])
def test_a_certificate_that_expires(
    days: float, status: str, diagnose: Diagnose, certificate: Callable[[float], str]
) -> None:
    finding = diagnose("certificates", certificates={"url": certificate(days)})["certificates"]
    assert (finding["status"], round(finding["value"], 1)) == (status, pytest.approx(days, abs=0.1))


def test_a_master_that_hangs_and_a_worker_that_waits(host: Any, diagnose: Diagnose) -> None:
    with stopped(host, host.file("/run/nginx.pid").content_string.strip()):
        assert statuses(diagnose("nginx")) == {"nginx": "critical"}
    # half a request holds its worker up, as an open WebSocket does
    waiting = "exec 3<>/dev/tcp/127.0.0.1/80; printf 'GET / HTTP/1.1\\r\\n' >&3; systemctl reload nginx; sleep 1"
    shown = host.check_output(f"bash -c {shlex.quote(f'{waiting}; {COMMAND} --read-only --check nginx')}")
    assert "1 workers of earlier configurations" in shown


def test_a_secret_that_was_changed_while_the_process_runs(host: Any, diagnose: Diagnose) -> None:
    assert set(statuses(diagnose("secrets")).values()) == {"ok"}
    host.check_output("cp -p %s %s.molecule", ENVIRONMENT, ENVIRONMENT)
    try:
        host.check_output("sed -i 's/^JWT_SECRET=.*/&x/' %s", ENVIRONMENT)
        host.check_output("chown workbot:workbot %s && chmod 600 %s", ENVIRONMENT, ENVIRONMENT)
        finding = diagnose("secrets")["secrets.old"]
    finally:
        host.check_output("mv %s.molecule %s", ENVIRONMENT, ENVIRONMENT)
    assert finding["status"] == "warning"
    assert "the process still has the old value of JWT_SECRET" in finding["message"]


def test_a_file_that_is_younger_than_the_process(host: Any, diagnose: Diagnose) -> None:
    path = "/srv/workbot/active/environment"
    host.check_output("touch -r %s %s/stamp", path, TRIAL)
    host.check_output("touch %s", path)
    try:
        finding = diagnose("secrets")["secrets.age"]
    finally:
        host.check_output("touch -r %s/stamp %s", TRIAL, path)
    assert "may still have the old value" in finding["message"]


def test_the_module_judges_a_unit_by_its_environment_and_shows_no_value(host: Any) -> None:
    host.check_output(
        "systemd-run --quiet --collect --unit=molecule-secret --setenv=API_TOKEN=%s --setenv=OTHER=%s sleep 300",
        SECRET, SECRET,
    )  # fmt: skip
    task = {"names": ["API_TOKEN"], "systemd_unit": "molecule-secret.service"}
    play = {"hosts": "app", "become": True, "gather_facts": False, "tasks": [{"workbot.stability.secret_check": task}]}
    try:
        shown = run_play(play)
    finally:
        host.check_output("systemctl stop molecule-secret.service")
    assert "API_TOKEN is a placeholder, not a secret" in shown
    assert "the same value as OTHER" in shown
    assert SECRET not in shown
    assert SECRET not in host.check_output("journalctl --no-pager --quiet --since=-5min --identifier=python3")


def run_play(play: dict[str, Any]) -> str:
    """As -vvv shows it."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([play], file)
        file.flush()
        running = playbook(file.name, {}, "-vvv", "--diff")
        return running.communicate(timeout=120)[0]


def test_a_unit_that_failed_and_a_reboot_that_is_due(host: Any, diagnose: Diagnose) -> None:
    before = diagnose("kernel")
    host.run("systemd-run --quiet --unit=molecule-failed false")
    host.check_output("echo linux-image-molecule > /run/reboot-required.pkgs && touch /run/reboot-required")
    time.sleep(1)
    try:
        after = diagnose("kernel")
    finally:
        host.check_output("systemctl reset-failed molecule-failed.service")
        host.check_output("rm /run/reboot-required /run/reboot-required.pkgs")
    assert after["kernel.units"]["value"] == before["kernel.units"]["value"] + 1
    assert "molecule-failed.service" in after["kernel.units"]["message"]
    assert "linux-image-molecule" in after["kernel.reboot"]["message"]
    assert before["kernel.reboot"]["status"] == "ok"


def test_a_cron_that_does_not_run(host: Any, diagnose: Diagnose) -> None:
    host.check_output("touch -d '5 hours ago' %s/hourly.log %s/installed", TRIAL, TRIAL)
    section = {"directory": TRIAL, "report": "hourly.log", "since": f"{TRIAL}/installed", "overdue_hours": 0.001}
    assert statuses(diagnose("cron", cron=section)) == {"cron": "warning"}
    host.check_output("touch %s/hourly.log", TRIAL)
    assert statuses(diagnose("cron", cron={**section, "overdue_hours": 1})) == {"cron": "ok"}


def test_open_files_near_the_limit(host: Any, diagnose: Diagnose) -> None:
    """A worker's limit can't be set from outside, so it opens what is missing: connections that say nothing."""
    thresholds = {"descriptors_percent": {"warning": 0.1, "critical": 1.0}}
    before = diagnose("descriptors", thresholds=thresholds)["descriptors"]["value"]
    limit = int(host.check_output("runuser -u workbot -- sh -c %s", f"prlimit --pid {workers(host)[0]} {LIMIT}"))
    count = int(1.2 * limit / 100)
    opened = (
        "import socket, subprocess, sys\n"
        f"held = [socket.socket(socket.AF_UNIX) for _one in range({count})]\n"
        "for one in held: one.connect('/srv/workbot/active/0.sock')\n"
        f"subprocess.run(['{COMMAND}', '--json', '--check', 'descriptors', '--config', '{TRIAL}/config.json'])\n"
    )
    shown = host.run(f"python3 -c {shlex.quote(opened)}").stdout
    (finding,) = json.loads(shown)["findings"]
    assert finding["value"] > before
    assert finding["status"] == "critical"


def test_watching_redraws_on_a_terminal_and_ends_with_ctrl_c(host: Any) -> None:
    interrupt = "timeout --foreground --preserve-status --signal=INT 10"
    watching = f"{interrupt} {COMMAND} --watch 1 --check disk; echo status=$?"
    shown = host.check_output("script --quiet --command %s /dev/null", watching)
    assert shown.count("\x1b[H\x1b[2J") >= 2
    assert shown.count("workbot on ") == shown.count("\x1b[H\x1b[2J")
    assert "status=0" in shown
    assert "Traceback" not in shown


def asked(*options: str) -> tuple[int, str]:
    """Exit status and output of check.yml. A check that a busy machine kept waiting says so, and is asked once more."""
    for _attempt in range(4):
        running = playbook("playbooks/check.yml", {}, *options)
        shown = running.communicate(timeout=600)[0]
        if " in time" not in shown:
            break
    return running.returncode, shown


def test_one_table_of_all_hosts(host: Any) -> None:
    # a run of cron's or of the watchdog's at the same time does write, but not twice within a minute
    for _attempt in range(4):
        before = host.check_output(READINGS)
        code, shown = asked()
        if host.check_output(READINGS) == before:
            break
    assert code == 0, shown
    assert f"{'workbot-test':<12}  ok" in shown or f"{'workbot-test':<12}  warning" in shown
    assert host.check_output(READINGS) == before


def test_the_table_has_hosts_that_can_not_be_asked() -> None:
    nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "", "service_name": "workbot"}
    without = {"ansible_connection": "local", "ansible_become": False, "service_name": "no-such-service"}
    with tempfile.TemporaryDirectory() as directory:
        inventory = Path(directory) / "hosts.json"
        inventory.write_text(json.dumps({"app": {"hosts": {"nowhere": nowhere, "without": without}}}))
        code, shown = asked(f"--inventory={inventory}")
    assert code != 0
    table = shown[shown.index("HOST ") : shown.index("PLAY RECAP")]
    rows = {line.split()[0]: line.split()[1] for line in table.splitlines() if line and not line.startswith(" ")}
    assert rows["nowhere"] == "unreachable"
    assert rows["without"] == "critical"
    assert rows["workbot-test"] in ("ok", "warning")
    assert "2 of 3 hosts: nowhere (unreachable), without (critical)" in shown
