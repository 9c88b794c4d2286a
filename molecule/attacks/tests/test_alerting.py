# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a service writes where alerting and node_exporter read: people are told, and each service says its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from alerts import EVENTS, FIRST, RUN, SECOND, UNIT, VARIABLES, Alarm, problem
from attacks import NEIGHBOUR, Attacker
from testinfra.host import Host
from waiting import until

BOTH = (FIRST, SECOND)
TEXTFILES = VARIABLES["metrics_textfile_directory"]
EXPORTER = "/var/tmp/attacks-exporter"
PORT = "9198"
BAD_EVENTS = """
cd "$1"
event='{"kind": "problem", "key": "service.bad", "code": "bad", "severity": "critical", "time":'
printf '%s 1%0400d}' "$event" 0 >0-int.json
printf '%s 1%05000d}' "$event" 0 >0-digits.json
for time in 1e999 -1e999 NaN '[]' '"now"'; do printf '%s %s}' "$event" "$time" >"0-$time.json"; done
printf '{"kind": "test", "time": 5}' >0-test.json
mkfifo 1.json
ln -s /etc/shadow 2.json
ln -s /dev/zero 3.json
mkdir 4.json && touch 4.json/full
truncate -s 1T 5.json
printf x >"$(printf '6\\033[2J.json')"
seq -f 7-%g.json 2500 | xargs touch
"""
FETCH = f"""
import time, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:{PORT}/metrics", timeout=2).read().decode())
"""
# Names the neighbour wherever it can, and would be lines of their own if it was copied as it is.
FORGED = {
    "service": NEIGHBOUR,
    "time": 1.0,
    "state": f'healthy"}} 1\nnodejs_service_state{{service="{NEIGHBOUR}",state="exhausted"}} 1\nx{{a="',
    "targets": {f'x",service="{NEIGHBOUR}': {"phase": "healthy"}, "y\n# HELP node_load1 x\nnode_load1 99": {}},
    "actions_total": 10**400,
    "problems": [{"key": number, "severity": "critical"} for number in range(2000)],
    "readings": {"workers": [{"pm_id": 0, "online": 1}, {"pm_id": 0, "online": 0}, {"pm_id": {}, "rss": 1e308}]},
}
PUT_STATUS = 'rm -f "$1/status.json"; printf %s "$2" >"$1/.new"; mv "$1/.new" "$1/status.json"'


@pytest.fixture(scope="module")
def installed(host: Host) -> Iterator[Alarm]:
    alarm = Alarm(host)
    with alarm.installed():
        yield alarm


@pytest.fixture
def alarm(installed: Alarm) -> Iterator[Alarm]:
    installed.forget()
    yield installed
    installed.host.run("systemctl kill --signal=CONT alarm-watchdog; systemctl stop alarm-watchdog")


@pytest.fixture
def hostile(alarm: Alarm) -> Attacker:
    return Attacker(alarm.host, "alarm")


@pytest.fixture
def scrape(host: Host) -> Iterator[Callable[[], str]]:
    """What Debian's node_exporter answers."""
    host.check_output("mkdir -p %s && cd %s && apt-get update -qq", EXPORTER, EXPORTER)
    host.check_output("cd %s && apt-get download -qq prometheus-node-exporter && dpkg -x *.deb .", EXPORTER)
    host.check_output(
        "systemd-run --quiet --collect --unit=attacks-exporter --uid=nobody"
        f" {EXPORTER}/usr/bin/prometheus-node-exporter"
        f" --collector.disable-defaults --collector.textfile --collector.textfile.directory={TEXTFILES}"
        f" --web.listen-address=127.0.0.1:{PORT}"
    )

    def answer() -> str:
        """Within two seconds, on a machine that may have much else to do."""
        shown: str = host.check_output("python3 -c %s", FETCH)
        return shown

    try:
        until("node_exporter", lambda: host.socket(f"tcp://127.0.0.1:{PORT}").is_listening)
        yield answer
    finally:
        host.run("systemctl stop attacks-exporter; rm -r %s", EXPORTER)


def test_bad_events_keep_no_message_back(alarm: Alarm, hostile: Attacker) -> None:
    began = alarm.host.check_output("date +@%s")
    for code in ("worker_hung", "no_answer"):  # the second time all names are known already
        alarm.forget()
        hostile.run(BAD_EVENTS, EVENTS)
        alarm.happens(problem(code))
        alarm.until(lambda: all(len(alarm.titles(port)) == 1 for port in BOTH), limit=60, run=True)
    assert alarm.host.file("/etc/shadow").mode == 0o640
    alarm.until(lambda: alarm.host.check_output("ls %s", EVENTS) == "", limit=60)
    # the run that has taken them over may still be at work
    alarm.until(lambda: alarm.host.file("/var/lib/alarm-alert/inbox").listdir() == [], limit=60)
    said = alarm.host.check_output("journalctl --unit=%s --no-pager --since=%s --output=cat", UNIT, began)
    assert "'2.json' is no event" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("attack", ["ln -s /etc", "mkfifo"])
def test_another_thing_in_place_of_the_directory_keeps_no_message_back(
    alarm: Alarm, hostile: Attacker, attack: str
) -> None:
    hostile.run(f"rm -rf {EVENTS}; {attack} {EVENTS}")
    alarm.until(lambda: not alarm.host.run("test -e %s -o -L %s", EVENTS, EVENTS).succeeded, run=True)
    hostile.run(f"mkdir {EVENTS}")
    alarm.happens(problem(f"after_{attack[0]}{len(attack)}"))
    alarm.until(lambda: all(len(alarm.titles(port)) == 1 for port in BOTH), limit=60, run=True)


def test_escape_sequences_stay_out_of_the_terminal(alarm: Alarm) -> None:
    alarm.happens(problem("\x1b]0;x\x07\nCRITICAL \u202e\x9b2J"))
    alarm.until(lambda: bool(alarm.titles(FIRST)), limit=60, run=True)
    shown = alarm.host.run("alarm-alert status").stdout
    assert r"service.\x1b]0;x\x07\nCRITICAL \u202e\x9b2J since " in shown
    assert all(letter.isprintable() for letter in shown.replace("\n", ""))


def test_node_exporter_answers_and_shows_nothing_forged(
    alarm: Alarm, hostile: Attacker, scrape: Callable[[], str]
) -> None:
    own = 'nodejs_service_heartbeat_timestamp_seconds{service="alarm"}'
    alarm.watch()
    until("metrics of the watchdog", lambda: own in scrape())
    alarm.host.check_output("systemctl kill --signal=STOP alarm-watchdog")
    hostile.run('rm -f "$1/metrics.prom"; mkfifo "$1/metrics.prom"', RUN)
    hostile.run(PUT_STATUS, RUN, json.dumps(FORGED))
    until("what the hostile status says of its own service", lambda: f"{own} 1\n" in scrape())
    shown = scrape()
    assert "node_textfile_scrape_error 0" in shown
    assert [
        line for line in shown.splitlines() if line.startswith("node_load1") or f'{{service="{NEIGHBOUR}' in line
    ] == []
    assert shown.count("nodejs_service_problem{") == 500
    assert shown.count("nodejs_service_worker_up{") == 1
    for attack in ("mkfifo", "ln -s /dev/zero", "ln -s /etc/passwd", "mkdir", "truncate -s 1T", "printf '{' >"):
        hostile.run(PUT_STATUS, RUN, json.dumps({"time": 2.0}))
        until("a sound status", lambda: f"{own} 2\n" in scrape())
        hostile.run(f'rm "$1/status.json"; {attack} "$1/status.json"', RUN)
        until(f"no metrics after {attack}", lambda: own not in scrape())
        assert "node_textfile_scrape_error 0" in scrape()
        hostile.run('rm -rf "$1/status.json"', RUN)
    copy = alarm.host.file(f"{TEXTFILES}/alarm.prom")
    assert not copy.exists
    alarm.host.check_output("systemctl kill --signal=CONT alarm-watchdog")
    until("the metrics are back", lambda: own in scrape())
    assert (copy.is_symlink, copy.user, copy.mode) == (False, "root", 0o644)
