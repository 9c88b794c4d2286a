# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotation as logrotate does it, while the workers run."""

from __future__ import annotations

import json
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

POLICY = "/etc/logrotate-workbot.conf"
LOGS = "/var/log/workbot"
PM2_HOME = "/srv/workbot/active/pm2"

# A service whose lines can be counted. Each worker writes numbered lines in bursts, which PM2's reopening of the file
# finds waiting in the stream, and at its end the number that would have been next.
LINES_APP = "/srv/workbot/home/molecule-lines.cjs"
LINES_LOG = f"{LOGS}/molecule-lines.log"
LINES_WORKERS = 2
LINES_PROGRAM = textwrap.dedent(
    """
    const id = require('node:cluster').worker.id;
    let next = 0;
    const timer = setInterval(() => {
      for (let end = next + 10; next < end; next += 1) console.log(`line ${id} ${next}`);
    }, 1);
    process.on('SIGINT', () => {
      clearInterval(timer);
      console.log(`end ${id} ${next}`);
      require('node:cluster').worker.disconnect();
    });
    """
)


def open_logs(host: Any) -> set[str]:
    """The log files that the workers hold open, by name; a renamed one shows its new name."""
    daemon = host.check_output(f"cat {PM2_HOME}/pm2.pid")
    workers = host.check_output(f"cat /proc/{daemon}/task/{daemon}/children").split()
    # root in a container may not look into another user's process; the user itself may
    listing = [
        host.check_output(f"setpriv --reuid workbot --regid workbot --clear-groups ls -l /proc/{pid}/fd")
        for pid in workers
    ]
    targets = {line.rpartition(" -> ")[2] for text in listing for line in text.splitlines()}
    return {target for target in targets if target.startswith(f"{LOGS}/")}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"after 30 s not yet: {what}"
        time.sleep(0.2)


def written(host: Any) -> int:
    """Lines of numbers in the file that has the log's own name, whoever may still write elsewhere."""
    return int(host.run(f"grep -c '^line ' {LINES_LOG}").stdout or 0)


@pytest.fixture
def lines(host: Any) -> Iterator[None]:
    """The counting service runs under the host's PM2, as the service's own workers do; nothing of it stays."""
    options = {
        "name": "molecule-lines",
        "script": LINES_APP,
        "instances": LINES_WORKERS,
        "exec_mode": "cluster",
        "node_args": ["--require", "/srv/workbot/config/reopen-logs.cjs"],
        "out_file": LINES_LOG,
        "error_file": f"{LOGS}/molecule-lines-error.log",
        "merge_logs": True,
        "autorestart": False,
    }
    declaration = LINES_APP.replace("lines.cjs", "lines.config.json")
    host.check_output("printf %%s %s > %s", LINES_PROGRAM, LINES_APP)
    host.check_output("printf %%s %s > %s", json.dumps({"apps": [options]}), declaration)
    try:
        host.check_output(f"workbot-pm2 start {declaration}")
        yield
    finally:
        host.run("workbot-pm2 delete molecule-lines")
        host.check_output(f"rm -f {LINES_APP} {declaration} {LOGS}/molecule-lines*")


def test_the_policy_is_sound(host: Any) -> None:
    result = host.run(f"logrotate -d -s /dev/null {POLICY}")
    assert result.rc == 0
    assert "error:" not in result.stderr


def test_workers_write_to_the_new_files_after_a_forced_rotation(host: Any) -> None:
    with_content = f"{LOGS}/out.log"
    host.check_output(f"printf 'a line before the rotation\\n' >> {with_content}")
    host.check_output(f"logrotate -f {POLICY}")
    wait_for(lambda: with_content in open_logs(host), f"a worker that holds {with_content}")
    wait_for(lambda: not any(name.endswith(".log.1") for name in open_logs(host)), "no worker that holds an old file")
    assert "a line before the rotation" in host.file(f"{with_content}.1").content_string
    fresh = host.file(with_content)
    assert (fresh.user, fresh.group, fresh.mode) == ("workbot", "adm", 0o644)


@pytest.mark.usefixtures("lines")
def test_no_line_is_lost_in_a_rotation(host: Any) -> None:
    wait_for(lambda: written(host) > 100, "lines")
    for rotation in range(1, 6):
        host.check_output(f"logrotate -f {POLICY}")
        assert host.file(f"{LINES_LOG}.1").exists
        wait_for(lambda: written(host) > 100, f"new lines in the new file, rotation {rotation}")
    host.check_output("workbot-pm2 stop molecule-lines")
    count = f"zcat -f {LINES_LOG}*"
    wait_for(lambda: host.check_output(f"{count} | grep -c '^end ' || true") == str(LINES_WORKERS), "the workers' ends")
    # PM2 adds lines of its own, "Reloading log..."
    texts = [line for line in host.check_output(count).splitlines() if not line.startswith("Reloading log")]
    found = [text.split() for text in texts]
    assert [words for words in found if len(words) != 3] == []
    ends = {worker: int(number) for word, worker, number in found if word == "end"}
    numbers = Counter((worker, int(number)) for word, worker, number in found if word == "line")
    expected = Counter((worker, number) for worker, end in ends.items() for number in range(end))
    assert sorted((expected - numbers).elements()) == [], "lost"
    assert sorted((numbers - expected).elements()) == [], "twice"


def test_the_logs_of_the_diagnostics_are_rotated(host: Any) -> None:
    host.check_output(f"printf 'report\\n' >> {LOGS}/diagnose_hourly.log")
    host.check_output(f"logrotate -f {POLICY}")
    assert "report" in host.file(f"{LOGS}/diagnose_hourly.log.1").content_string


def test_a_log_that_is_too_large_does_not_wait_for_the_night(host: Any) -> None:
    assert host.service("logrotate-workbot.timer").is_enabled
    large = f"{LOGS}/large.log"
    host.check_output(f"truncate -s 101M {large} && chown workbot:adm {large}")
    try:
        host.check_output("systemctl start logrotate-workbot.service")
        assert host.file(large).size == 0
        assert host.file(f"{large}.1").exists
    finally:
        host.check_output(f"rm -f {large} {large}.*")
