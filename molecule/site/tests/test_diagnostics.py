# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagnosis on the host: what it says, what cron makes of it, and what it leaves alone."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

COMMAND = "/usr/local/bin/workbot-diagnose"
CRON = "/etc/cron.d/workbot-diagnose"
STATE = "/var/lib/workbot-diagnose"
LOGS = "/var/log/workbot"
TRIAL = "true molecule-trial"
CHECKS = {
    "release", "health", "event_loop", "proxy", "websocket", "nginx", "processes", "memory", "descriptors", "units",
    "logs", "disk", "kernel", "clock", "cron", "secrets", "database",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def cron_log(host: Any) -> Iterator[str]:
    """The place in the journal at which cron's file got another job; by the last test, cron has had time to see it."""
    cursor = host.check_output("journalctl --lines=0 --show-cursor --quiet").rpartition("-- cursor: ")[2]
    host.check_output("echo %s >> %s", f"* * * * * workbot {TRIAL}", CRON)
    yield str(cursor)
    host.check_output("sed -i '/molecule-trial/d' %s", CRON)


def report(host: Any, *arguments: str) -> dict[str, Any]:
    output: dict[str, Any] = json.loads(host.run(f"{COMMAND} --json {' '.join(arguments)}").stdout)
    return output


def pm2_daemons(host: Any) -> list[str]:
    lines: list[str] = host.run("pgrep -f '[G]od Daemon'").stdout.split()
    return lines


def cron_commands(host: Any) -> dict[str, str]:
    """Schedule -> the command as cron hands it to the shell."""
    found = re.findall(r"^((?:\S+ ){5})workbot (.+)$", host.file(CRON).content_string, re.MULTILINE)
    return {schedule.strip(): command.replace(r"\%", "%") for schedule, command in found}


def run_as_cron(host: Any, command: str) -> Any:
    """In cron's environment: nothing but what the cron file and cron itself set."""
    environment = "HOME=/srv/workbot/home LOGNAME=workbot SHELL=/bin/sh PATH=/usr/local/bin:/usr/bin:/bin"
    return host.run("cd / && runuser -u workbot -- env -i " + environment + " /bin/sh -c %s", command)


def test_every_part_is_looked_at_and_nothing_is_critical(host: Any) -> None:
    result = report(host)
    assert {finding["check"].split(".")[0] for finding in result["findings"]} >= CHECKS
    assert [finding for finding in result["findings"] if finding["status"] == "critical"] == []


def test_it_is_done_within_two_seconds(host: Any) -> None:
    # what the machine does besides can only make it slower: the best of three is the diagnosis itself
    assert min(report(host)["elapsed_ms"] for _run in range(3)) < 2000


def test_people_get_a_table_without_colour_codes_in_a_pipe(host: Any) -> None:
    result = host.run(COMMAND)
    assert result.rc in (0, 1)
    assert result.stdout.startswith("workbot on ")
    assert "\x1b" not in result.stdout


def test_the_exit_status_says_critical(host: Any) -> None:
    environment = "/srv/workbot/config/environment"
    host.run_test("chmod 644 %s", environment)
    try:
        assert host.run(f"{COMMAND} --check secrets").rc == 2
    finally:
        host.run_test("chmod 600 %s", environment)
    assert host.run(f"{COMMAND} --check secrets").rc == 0


def test_root_and_the_service_user_see_the_same_and_others_nothing(host: Any) -> None:
    def checks(command: str) -> list[str]:
        return [finding["check"] for finding in json.loads(host.run(f"{command} --json").stdout)["findings"]]

    deadline = time.monotonic() + 60
    # a host that is too busy for a moment is not asked everything
    while (seen := checks(f"runuser -u workbot -- {COMMAND}")) != checks(COMMAND):
        assert time.monotonic() < deadline, seen
    nobody = host.run(f"runuser -u nobody -- {COMMAND}")
    assert nobody.rc == 2
    assert "run this as root or as the service's user" in nobody.stderr


def test_no_secret_is_shown_or_stored(host: Any) -> None:
    values = re.findall(
        r"^(?:JWT_SECRET|DATABASE_URL)=[\"'`]?([^\"'`\n]+)",
        host.file("/srv/workbot/config/environment").content_string,
        re.MULTILINE,
    )
    assert values
    shown = host.run(f"{COMMAND} --json; cat {STATE}/state.json /srv/workbot/config/diagnose.json").stdout
    assert not any(value in shown for value in values)


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        (COMMAND, "root", "root", 0o755),
        (CRON, "root", "root", 0o644),
        ("/srv/workbot/config/diagnose.json", "root", "workbot", 0o640),
        (STATE, "workbot", "workbot", 0o750),
    ],
)
def test_files_belong_to_whom_they_should(host: Any, path: str, user: str, group: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (user, group, mode)


def test_root_leaves_no_file_of_its_own(host: Any) -> None:
    host.run(COMMAND)
    assert host.check_output(f"find {STATE} /srv/workbot/home /srv/workbot/active/pm2/ ! -user workbot") == ""


def test_it_starts_no_pm2_daemon(host: Any) -> None:
    """Without the pid file the daemon is not known, and `pm2 jlist` would start another."""
    pid_file, before = "/srv/workbot/active/pm2/pm2.pid", pm2_daemons(host)
    host.run_test("mv %s %s.away", pid_file, pid_file)
    try:
        findings = report(host, "--check", "processes")["findings"]
        assert [finding["status"] for finding in findings] == ["critical"]
        assert pm2_daemons(host) == before
    finally:
        host.run_test("mv %s.away %s", pid_file, pid_file)


def test_cron_runs_it_hourly(host: Any) -> None:
    log = host.file(f"{LOGS}/diagnose_hourly.log")
    before = log.size if log.exists else 0
    result = run_as_cron(host, cron_commands(host)["0 * * * *"])
    assert result.rc in (0, 1), host.run(f"tail {LOGS}/diagnose_hourly.log").stdout
    assert (result.stdout, result.stderr) == ("", "")
    added = host.file(f"{LOGS}/diagnose_hourly.log").content[before:].decode()
    assert added.startswith("workbot on ")


def test_cron_writes_a_dated_report_and_prunes_old_ones(host: Any) -> None:
    old = f"{LOGS}/diagnose_daily_2020-01-01.txt"
    host.run_test("runuser -u workbot -- touch %s", old)
    result = run_as_cron(host, cron_commands(host)["0 0 * * *"])
    assert (result.stdout, result.stderr) == ("", "")
    today = host.check_output("date +%F")
    report = host.file(f"{LOGS}/diagnose_daily_{today}.txt").content_string
    assert report.startswith("workbot on ")
    assert re.search(r"^Worst since \d{4}-\d\d-\d\d \d\d:\d\d \(\d+ runs\):$", report, re.MULTILINE)
    assert re.search(r"^ok +disk\./ +[\d.]+ %  at \d\d:\d\d", report, re.MULTILINE)
    assert "Changes since the day before" in report
    assert not host.file(old).exists


def test_cron_itself_accepts_the_file(host: Any, cron_log: str) -> None:
    """cron runs a job of the file, and names neither a reason to ignore the file nor a line that it can't read."""
    # not by its unit: to whom a line belongs journald asks the kernel later, and a job may have ended by then
    command = "journalctl --identifier=cron --identifier=CRON --no-pager --quiet --output=cat --after-cursor=%s"
    deadline = time.monotonic() + 130  # it looks once a minute
    while f"(workbot) CMD ({TRIAL})" not in (said := host.check_output(command, cron_log)):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    about = [line for line in said.splitlines() if "workbot-diagnose" in line]
    assert [line for line in about if " CMD (" not in line and " RELOAD (" not in line] == []


def on_a_terminal(host: Any, command: str) -> list[str]:
    """What somebody sees whose terminal has 80 columns."""
    script = f"stty cols 80; NO_COLOR=1 {command}"
    lines: list[str] = host.run("script --quiet --command %s /dev/null", script).stdout.replace("\r", "").splitlines()
    return lines


def test_a_stopped_database_is_the_first_line_on_a_narrow_terminal(host: Any) -> None:
    host.check_output("systemctl stop postgresql")
    try:
        lines = on_a_terminal(host, COMMAND)
    finally:
        host.check_output("systemctl start postgresql")
    text = " ".join(" ".join(lines).split())
    assert text.index("critical database") == text.index("critical ", text.index(")"))
    assert "no server listens there; on that host: `systemctl start postgresql`." in text
    assert text.count("not known: the database can't be asked.") == 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    "command", [COMMAND, "workbot-watchdog status", "workbot-watchdog history", "workbot-alert status"]
)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_is_lost_is_no_status_of_the_service(host: Any, command: str, redirection: str) -> None:
    lost = host.run(f"{command} {redirection}")
    assert lost.rc == 74
    assert lost.stderr.startswith("can't write to standard output: ")
    assert len(lost.stderr.splitlines()) == 1
