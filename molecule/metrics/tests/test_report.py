# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the real service: its numbers are those of its clients, and a browser has nothing to say against it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import DARK, Browser, browser
from deployments import load
from hosts import HOST, playbook
from testinfra.host import Host

COMMAND = "/usr/local/bin/workbot-report"
PAGE = "/var/lib/workbot-report/report.html"
STORE = "/var/lib/workbot-metrics/history.db"
PHONE, WIDE = "--window-size=390,800", "--window-size=1200,800"
PLOTS = {
    "Requests a second", "Errors, % of the requests", "Latency, ms", "Memory of the workers (RSS), MB",
    "Heap of the workers, MB", "Event loop lag, p95, ms", "Disk and memory of the host, % in use",
    "Logs, MB written an hour",
}  # fmt: skip
COUNT = f"""
import sqlite3, sys
asked = "SELECT total(mean) FROM reading WHERE step = 60 AND series LIKE ?"
print(sqlite3.connect("file:{STORE}?mode=ro", uri=True).execute(asked, sys.argv[1:]).fetchone()[0])
"""
# An objective that nothing can reach, in a copy.
MISSED = f"""
import json, shutil, sqlite3
shutil.copy("{STORE}", "/tmp/history.db")
with sqlite3.connect("/tmp/history.db") as store:
    store.execute("UPDATE reading SET mean = 101 WHERE series = 'objective.availability'")
settings = json.load(open("/srv/workbot/config/report.json"))
json.dump({{**settings, "history": "/tmp/history.db"}}, open("/tmp/report.json", "w"))
"""
VERDICTS = {"HEALTHY": "Healthy", "WARNING,": "Warning", "CRITICAL,": "Critical"}


def page(host: Host, *options: str) -> str:
    assert host.check_output(" ".join([COMMAND, *options])) == PAGE
    return host.file(PAGE).content_string


def requests_of(shown: str) -> int:
    """As the page has them, of the last day."""
    found = re.search(r'<dt>Requests</dt><dd class="value">([0-9,]+)</dd>', shown)
    return int(found[1].replace(",", "")) if found else 0


def recorded(host: Host, series: str) -> float:
    return float(host.check_output("python3 -c %s %s", COUNT, series))


@pytest.fixture(scope="module")
def shown(host: Host, address: str) -> str:
    """After load: what was sent is recorded, and what is recorded is on the page."""
    # what came before is recorded when its minute is over
    time.sleep(70)
    before = recorded(host, "requests.2xx")
    with load(address, "--path=/", "--methods=GET", "--connections=4") as tally:
        time.sleep(20)
    assert tally["failed"] == 0, tally["failures"]
    sent, deadline = tally["requests"]["GET"], time.monotonic() + 150
    while recorded(host, "requests.2xx") < before + sent and time.monotonic() < deadline:
        time.sleep(2)
    found = page(host)
    assert recorded(host, "requests.2xx") == before + sent
    # the diagnosis opens a WebSocket, which is a request as well
    assert before + sent <= requests_of(found) <= recorded(host, "requests._xx")
    return found


@pytest.fixture(scope="module")
def chromium(host: Host) -> Iterator[Browser]:
    with browser(host, "/opt/workbot/bin") as found:
        yield found


def test_the_numbers_are_those_of_the_clients_and_no_plot_is_empty(shown: str) -> None:
    """That they are, the fixture has asserted."""
    articles = re.findall(r"<article>\n<h3>(.*?)</h3>(.*?)</article>", shown, re.DOTALL)
    assert {title for title, _body in articles} >= PLOTS
    for title, body in articles:
        drawings = [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", body, re.DOTALL)]
        # of a day; four weeks are there when it is over
        assert len(drawings) in (1, 2), title
        for drawing in drawings:
            lines = [
                one for one in drawing.iter() if "reactive" in one.get("class", "") and one.get("d", "").startswith("M")
            ]
            assert lines, title
    release = re.search(r"Release ([0-9a-f]{12}[^<]*) is active", shown)
    assert release, "no deployment on the time line"
    assert "Answered without an error" in shown
    assert re.search("worker 1: at most [0-9.]+</li>", shown)
    assert re.search("limit: [0-9.,]+</li>", shown)


@pytest.mark.parametrize("options", [(), ("--language", "zh")], ids=["en", "zh"])
def test_a_browser_without_a_network_has_nothing_to_say(
    host: Host, shown: str, chromium: Browser, options: tuple[str, ...]
) -> None:
    page(host, *options)
    dom, console = chromium.shown(PAGE)
    assert console == []
    assert dom.count("<svg") == shown.count("<svg")
    # it does say what is wrong
    _dom, console = chromium.shown(PAGE, old="<main>", new="<main><script>1</script>")
    assert any("Content Security Policy" in line for line in console)


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize("window", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("colours", ["", DARK], ids=["light", "dark"])
def test_axe_core_finds_nothing_and_nothing_is_wider_than_the_window(
    chromium: Browser, window: str, colours: str
) -> None:
    found = chromium.judged(PAGE, window, colours)
    assert found["wrong"] == []
    assert found["passed"] > 15
    assert found["wide"] <= 0
    pale = chromium.judged(PAGE, window, colours, old="<main>", new='<main><p style="color: #777">pale</p>')
    assert [one[0] for one in pale["wrong"]] == ["color-contrast"]


def test_a_missed_objective_needs_attention_and_the_commands_say_how_it_is_now(host: Host, shown: str) -> None:
    status = host.run("/usr/local/bin/workbot-watchdog status")
    word = VERDICTS[status.stdout.partition(": ")[2].split()[0]]
    assert status.rc == list(VERDICTS.values()).index(word)
    assert f">{word}</p>" in shown
    host.check_output("python3 -c %s", MISSED)
    found = page(host, "--config /tmp/report.json")
    assert f">{'Healthy now, an objective is missed' if word == 'Healthy' else word}</p>" in found
    wrong = found.partition('<section aria-labelledby="wrong">')[2].partition("</section>")[0]
    assert "<strong>Answered without an error</strong>" in wrong
    assert "promised: 100 %" in wrong


def test_it_is_for_those_who_read_logs(host: Host) -> None:
    page(host)
    found = host.file(PAGE.replace("report.html", host.file(PAGE).linked_to.rpartition("/")[2]))
    assert (found.user, found.group, found.mode) == ("root", "adm", 0o640)
    assert host.run("runuser -u workbot -- cat %s", PAGE).rc != 0
    assert "run this as root" in host.run("runuser -u workbot -- %s", COMMAND).stderr


def test_cron_has_it_made_each_day(host: Host) -> None:
    lines = host.file("/etc/cron.d/workbot-report").content_string.splitlines()
    command = lines[-1].partition(" root ")[2]
    host.check_output("rm %s", PAGE)
    cursor = host.check_output("journalctl --lines=0 --show-cursor --quiet").rpartition("-- cursor: ")[2]
    host.check_output("cd / && env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root /bin/sh -c %s", command)
    host.check_output("journalctl --sync")
    assert PAGE in host.check_output("journalctl --after-cursor=%s -o cat", cursor).splitlines()
    assert host.file(PAGE).exists


def test_the_report_of_the_diagnosis_ends_with_its_path(host: Host) -> None:
    assert host.check_output("/usr/local/bin/workbot-diagnose --daily || true").endswith(PAGE)


def test_the_playbook_brings_the_page(host: Host, tmp_path: Path) -> None:
    """Of a new run of the command, into a directory that need not be there."""
    made = "stat --format=%%Y $(readlink -f %s)"
    before = host.run(made, PAGE).stdout
    running = playbook("workbot.stability.report", {"page_directory": str(tmp_path / "pages")})
    output, _none = running.communicate(timeout=120)
    assert running.returncode == 0, output
    (found,) = (tmp_path / "pages").iterdir()
    assert found.name == f"workbot-{HOST}.html"
    assert str(found) in output
    assert found.read_text(encoding="utf-8") == host.file(PAGE).content_string
    assert host.check_output(made, PAGE) != before.strip()
