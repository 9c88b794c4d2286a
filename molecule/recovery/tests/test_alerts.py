# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people are told: the messages that real receivers get from the real units, however badly things go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from alerts import EVENTS, FIRST, RUN, SECOND, SECRET, UNIT, VARIABLES, Alarm, problem, resolved
from testinfra.host import Host

BOTH = (FIRST, SECOND)
NO_CHANNEL = "alarm: no channel is set, so nothing is reported: set alerting_urls and apply the playbook\n"
HUNG = ["alarm on {host}: CRITICAL: a worker hangs", "alarm on {host}: RESOLVED: a worker hangs"]


@pytest.fixture(scope="module")
def installed(host: Host) -> Iterator[Alarm]:
    alarm = Alarm(host)
    with alarm.installed():
        yield alarm


@pytest.fixture
def alarm(installed: Alarm) -> Iterator[Alarm]:
    """Nothing is open, waiting or failing, and nothing was received yet."""
    for port in BOTH:
        for name in ("status", "delay"):
            installed.unset(port, name)
    installed.host.check_output("systemctl stop alarm-alert.timer && rm -f /var/lib/alarm-alert/state.json")
    installed.run()
    installed.host.check_output("systemctl start alarm-alert.timer")
    installed.forget()
    yield installed
    installed.host.run("systemctl stop alarm-watchdog; rm -f /etc/systemd/system/alarm-watchdog.service")
    installed.host.run("systemctl daemon-reload")


@pytest.fixture
def hung(host: Host) -> list[str]:
    """Titles of the beginning and of the end of a hung worker."""
    name = host.check_output("hostname")
    return [title.format(host=name) for title in HUNG]


def test_every_channel_is_told_once_as_soon_as_it_happens(alarm: Alarm, hung: list[str]) -> None:
    alarm.happens(problem(message="Worker 3 has not answered for 15 s."), resolved())
    alarm.until(lambda: all(len(alarm.titles(port)) == 2 for port in BOTH), limit=10)
    alarm.happens(problem("nothing_new"), resolved("nothing_new"))
    alarm.until(lambda: all(len(alarm.titles(port)) == 4 for port in BOTH), limit=10)
    for port in BOTH:
        begin, end = alarm.received(port)[:2]
        assert [begin["title"], end["title"]] == hung
        assert begin["message"].startswith("Worker 3 has not answered for 15 s.\nIt is killed, and PM2 restarts it.\n")
        assert end["message"].startswith("It lasted ")
        assert [begin["type"], end["type"]] == ["failure", "success"]
    assert alarm.host.file(EVENTS).listdir() == []


def test_a_channel_that_was_away_gets_all_in_order_and_the_other_nothing_twice(alarm: Alarm) -> None:
    alarm.go_away(SECOND)
    alarm.happens(problem("worker_hung"), resolved("worker_hung"), problem("no_answer"))
    alarm.until(lambda: len(alarm.titles(FIRST)) == 3)
    alarm.happens(resolved("no_answer"))
    alarm.until(lambda: len(alarm.titles(FIRST)) == 4)
    (well, away) = alarm.status()["channels"]
    assert (well["waiting"], away["waiting"], away["error"]) == (0, 4, "no answer: connection refused")
    alarm.receive(SECOND)
    # does not wait for the next try, which test_from_fault_to_message.py does
    alarm.host.check_output("alarm-alert test")
    alarm.until(lambda: len(alarm.titles(SECOND)) == 5)
    alarm.run()
    assert alarm.titles(SECOND) == alarm.titles(FIRST)
    assert [title.split(": ", 1)[1] for title in alarm.titles(FIRST)[:4]] == [
        "CRITICAL: a worker hangs",
        "RESOLVED: a worker hangs",
        "CRITICAL: the service does not answer",
        "RESOLVED: the service does not answer",
    ]


def test_a_refusal_is_tried_again_and_a_test_message_tries_at_once(alarm: Alarm) -> None:
    alarm.set(SECOND, "status", "403")
    alarm.happens(problem())
    alarm.until(lambda: len(alarm.titles(FIRST)) == 1)
    shown = alarm.host.run("alarm-alert test")
    assert (shown.rc, shown.stdout.splitlines()) == (
        1,
        ["json (1): delivered", "json (2): refused: 403 Forbidden; it is tried again"],
    )
    shown = alarm.host.run("alarm-alert status")
    assert (shown.rc, SECRET in shown.stdout) == (1, False)
    assert "\nchannel json (2): refused: 403 Forbidden (tries: " in shown.stdout
    alarm.unset(SECOND, "status")
    shown = alarm.host.run("alarm-alert test")
    assert (shown.rc, shown.stdout.splitlines()) == (0, ["json (1): delivered", "json (2): delivered"])
    kinds = ["CRITICAL", "TEST", "TEST"]
    assert [[title.split(": ")[1] for title in alarm.titles(port)] for port in BOTH] == [kinds, kinds]


def test_a_run_that_is_killed_repeats_no_more_than_one_message(alarm: Alarm) -> None:
    alarm.set(FIRST, "delay", "0.4")
    alarm.happens(*(problem(f"code_{number}") for number in range(8)))
    alarm.until(lambda: len(alarm.titles(FIRST)) >= 3)
    alarm.host.check_output("systemctl kill --signal=SIGKILL %s", UNIT)
    alarm.unset(FIRST, "delay")
    alarm.host.check_output("systemctl reset-failed %s", UNIT)
    alarm.until(lambda: all(len(set(alarm.titles(port))) == 8 for port in BOTH), run=True)
    for port in BOTH:
        titles = alarm.titles(port)
        assert len(titles) - len(set(titles)) <= 1
        assert [title.rpartition("_")[2] for title in dict.fromkeys(titles)] == [str(number) for number in range(8)]


def test_files_that_are_no_events_hold_up_nothing(alarm: Alarm) -> None:
    alarm.host.check_output(
        "cd %s && echo '{' > 1.json && mkdir 2.json && mkfifo 3.json && ln -s /etc/shadow 4.json", EVENTS
    )
    alarm.happens(problem())
    alarm.until(lambda: all(len(alarm.titles(port)) == 1 for port in BOTH))
    assert alarm.host.file(EVENTS).listdir() == []
    assert alarm.host.file("/etc/shadow").mode == 0o640
    assert "'4.json' is no event" in alarm.host.check_output("journalctl --unit=%s --no-pager --lines=50", UNIT)
    assert alarm.host.file("/var/lib/alarm-alert/inbox").listdir() == []


def test_a_damaged_state_is_put_aside(alarm: Alarm) -> None:
    alarm.host.check_output("echo '{' > /var/lib/alarm-alert/state.json")
    alarm.happens(problem())
    alarm.until(lambda: all(len(alarm.titles(port)) == 1 for port in BOTH))
    assert alarm.host.file("/var/lib/alarm-alert/state.json.damaged").content_string == "{\n"


def test_a_silent_watchdog_is_told_by_the_timer_and_so_is_its_return(alarm: Alarm) -> None:
    alarm.watch()
    alarm.until(lambda: bool(alarm.received(FIRST, "GET")), run=True)
    assert alarm.received(FIRST, "GET")[0]["path"] == f"/beat/{SECRET}"
    alarm.host.check_output("systemctl kill --signal=SIGKILL alarm-watchdog")
    alarm.until(lambda: len(alarm.titles(FIRST)) == 1, limit=100)
    assert alarm.titles(FIRST)[0].endswith("CRITICAL: the watchdog is silent")
    beats = len(alarm.received(FIRST, "GET"))
    alarm.run()
    assert len(alarm.received(FIRST, "GET")) == beats
    alarm.watch()
    alarm.until(lambda: len(alarm.titles(FIRST)) == 2, run=True)
    assert alarm.titles(FIRST)[1].endswith("RESOLVED: the watchdog is silent")
    alarm.host.check_output("systemctl stop alarm-watchdog")
    alarm.until(lambda: len(alarm.titles(FIRST)) == 3, limit=40, run=True)
    assert alarm.titles(FIRST)[2].endswith("WARNING: the watchdog was stopped by an operator")
    assert alarm.titles(SECOND) == alarm.titles(FIRST)


def test_what_no_event_told_is_taken_from_the_status(alarm: Alarm) -> None:
    now = time.time()
    entry = {**problem("disk_short"), "since": now - 60, "message": "1 MB is free."}
    status = json.dumps({"service": "alarm", "time": now, "problems": [entry]})
    alarm.host.check_output("mkdir -p %s && printf %%s %s > %s/status.json", RUN, status, RUN)
    alarm.run()
    assert [title.split(": ", 1)[1] for title in alarm.titles(FIRST)] == ["CRITICAL: the disk is nearly full"]
    alarm.host.check_output("rm -r %s", RUN)


def test_the_urls_are_nowhere_but_in_their_file(alarm: Alarm) -> None:
    code, output = alarm.apply("-vvv", "--diff", alerting_repeat_interval_minutes=60)
    assert code == 0, output
    assert SECRET not in output
    alarm.set(FIRST, "delay", "3")
    alarm.happens(problem())
    alarm.until(lambda: "alarm-alert" in (seen := alarm.host.check_output("ps axeww")) and "send" in seen)
    assert SECRET not in alarm.host.check_output("ps axeww")
    alarm.until(lambda: len(alarm.titles(SECOND)) == 1)
    # sudo writes this command line to the journal: it must not hold what is looked for
    pattern = f"{SECRET[:-1]}[{SECRET[-1]}]"
    found = alarm.host.run("grep -rlE %s /etc /srv/alarm /var/lib/alarm-alert /var/log /run/alarm-alert", pattern)
    assert found.stdout.split() == ["/srv/alarm/config/alert-secrets.json"]
    assert alarm.host.run("runuser -u alarm -- cat /srv/alarm/config/alert-secrets.json").rc != 0
    assert alarm.host.run("runuser -u alarm -- ls /var/lib/alarm-alert /run/alarm-alert").stdout == ""


def test_in_chinese_and_then_nothing_changes_any_more(alarm: Alarm) -> None:
    code, output = alarm.apply("--check", "--diff", alerting_language="zh")
    assert (code, '+  "language": "zh"' in output, "changed=1 " in output) == (0, True, True), output
    code, output = alarm.apply(alerting_language="zh")
    assert (code, "changed=1 " in output) == (0, True), output
    code, output = alarm.apply(alerting_language="zh")
    assert (code, "changed=0 " in output) == (0, True), output
    alarm.happens(problem(message="Worker 3 has not answered."), resolved())
    alarm.until(lambda: all(len(alarm.titles(port)) == 2 for port in BOTH))
    name = alarm.host.check_output("hostname")
    assert alarm.titles(FIRST) == [f"alarm（{name}）严重：工作进程卡死", f"alarm（{name}）已恢复：工作进程卡死"]
    assert alarm.received(FIRST)[0]["message"].startswith("详情：Worker 3 has not answered.\n")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"slck://{SECRET}", "of this host knows no slck://; did you mean slack://?"),
        (f"tgram://1/{SECRET}", "of this host finds a part of a tgram:// URL missing or wrong"),
    ],
)
def test_a_url_that_apprise_does_not_know_is_refused_before_anything_changes(alarm: Alarm, url: str, said: str) -> None:
    files = "find /srv/alarm/config /etc/systemd/system/alarm-alert.* -type f -exec sha256sum {} +"
    before = alarm.host.check_output(files)
    code, output = alarm.apply(alerting_urls=[*VARIABLES["alerting_urls"], url], service_log_level="debug")
    assert (code, SECRET in output) == (2, False), output
    assert (said in output, "changed=0 " in output) == (True, True), output
    assert alarm.host.check_output(files) == before


def test_without_urls_the_command_says_so_and_nothing_runs(alarm: Alarm) -> None:
    code, output = alarm.apply("--check", alerting_urls=[], alerting_heartbeat_url="")
    assert (code, "changed=3 " in output) == (0, True), output
    code, output = alarm.apply(alerting_urls=[], alerting_heartbeat_url="")
    assert code == 0, output
    assert alarm.host.run("systemctl list-units --all --no-legend 'alarm-alert.*'").stdout == ""
    for gone in ("/srv/alarm/config/alert-secrets.json", "/var/lib/alarm-alert", "/run/alarm-alert"):
        assert not alarm.host.file(gone).exists, gone
    assert not alarm.host.user("alarm-alert").exists
    assert alarm.host.service("alarm-metrics").is_running
    shown = alarm.host.run("alarm-alert status")
    assert (shown.rc, shown.stdout) == (0, NO_CHANNEL)
    for command in ("test", "send"):
        shown = alarm.host.run("alarm-alert %s", command)
        assert (shown.rc, shown.stderr) == (1, NO_CHANNEL)
    code, output = alarm.apply(alerting_urls=[], alerting_heartbeat_url="")
    assert (code, "changed=0 " in output) == (0, True), output
    alarm.set_up()
    alarm.happens(problem())
    alarm.until(lambda: all(len(alarm.titles(port)) == 1 for port in BOTH))
