# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that the service's user may write in: what it plants there leads root nowhere, and holds nobody up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attacks import HOSTILE, Attacker
from deployments import FROM_RELEASE, Service, wait
from own_pm2 import module
from testinfra.host import Host

PLACE = "/srv/trees-attack"
VICTIM = "/etc/trees-victim"
NAMES = [f"public/d{number}" for number in range(40)]
RELEASE = {
    "path": f"{PLACE}/releases",
    "shared": f"{PLACE}/shared",
    "active": f"{PLACE}/active",
    "user": HOSTILE,
    "group": HOSTILE,
    "bin": f"/opt/{HOSTILE}/bin",
    "build": False,
    "version": "1",
}
HOME = f"/srv/{HOSTILE}/home"
LOG = f"/var/log/{HOSTILE}/error.log"
PM2 = {
    "pm2_home": f"/srv/{HOSTILE}/active/pm2",
    "user": HOSTILE,
    "pm2": f"/opt/{HOSTILE}/bin/pm2",
    "node": f"/opt/{HOSTILE}/bin/node",
}
NO_APP = {
    "apps": [{"name": "nothing"}],
    "state": "absent",
    "config_file": f"{PLACE}/apps.config.cjs",
    "group": HOSTILE,
}
# A module that waits for a FIFO waits until its connection ends, for hours.
# What a pipe holds up, it holds up for ever.
SECONDS = 180

# Exchanges two names without a pause, until a third one is there.
SWAP = """
import ctypes, os, sys
libc, (one, other, end) = ctypes.CDLL(None), [os.fsencode(name) for name in sys.argv[1:]]
while not os.path.exists(end):
    for _turn in range(500):
        libc.renameat2(-100, one, -100, other, 2)
"""

# A program that writes the first page of its own memory without end, whatever it is asked; no libc, no interpreter.
ENDLESS = """
import os, platform, struct, sys
code = bytes.fromhex({
    "x86_64": "b801000000 bf01000000 be00004000 ba00100000 0f05 ebe8",
    "aarch64": "200080d2 0108a0d2 020082d2 080880d2 010000d4 fbffff17",
}[platform.machine()])
machine = {"x86_64": 62, "aarch64": 183}[platform.machine()]
elf, size = bytes.fromhex("7f454c46020101"), 120 + len(code)
header = struct.pack("<16sHHIQQQIHHHHHH", elf, 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000)
with open(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o755), "wb") as file:
    file.write(header + segment + code)
"""
# It is named as PM2's daemon, and waits: nobody reads what it writes.
NAMED = """
python3 -c "$3" "$1"
mv "$2" "$2.kept"
bash -c 'exec -a "PM2 v0.0.0: God Daemon" "$0" > >(exec sleep 1234) & echo $! >"$1"' "$1" "$2" >/dev/null 2>&1
"""

NEST = """
import os
for _level in range(1500):
    os.mkdir("n")
    os.chdir("n")
"""


@pytest.fixture
def place(host: Host, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Releases and shared directories as the roles make them, and files of root's elsewhere; options for a release."""
    host.check_output(f"install -d -g {HOSTILE} -m 0750 {PLACE} {PLACE}/releases")
    host.check_output(f"install -d -o {HOSTILE} -g {HOSTILE} -m 0750 {PLACE}/shared")
    host.check_output(f"install -d {VICTIM} && cd {VICTIM} && touch file dump.pm2 && mkdir -m 0700 d0 d2 d4 d8 d16")
    (tmp_path / "package.json").write_text("{}", encoding="utf-8")
    yield {**RELEASE, "directory": str(tmp_path)}
    host.check_output(f"rm -rf {PLACE} {VICTIM}")


def listing(host: Host, path: str) -> str:
    return str(host.check_output("find %s -printf '%%p %%y %%m %%u %%g %%T@\\n' | sort", path))


@contextmanager
def swapping(attacker: Attacker, one: str, other: str) -> Iterator[None]:
    """The attacker exchanges two names of a directory of its own all the time."""
    end = f"{Path(other).parent}/.end"
    attacker.run('nohup python3 -c "$1" "$2" "$3" "$4" </dev/null >/dev/null 2>&1 &', SWAP, one, other, end)
    try:
        yield
    finally:
        attacker.run('touch "$1"', end)
        deadline = time.monotonic() + 30
        while attacker.host.run("pgrep --full --uid %s renameat2", attacker.name).rc == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        attacker.run('rm "$1"', end)


@pytest.mark.parametrize("target", [VICTIM, "/srv/kiosk/config"])
@pytest.mark.usefixtures("neighbour")
def test_a_planted_link_leads_root_nowhere(host: Host, attacker: Attacker, place: dict[str, Any], target: str) -> None:
    before = listing(host, target)
    attacker.run('ln -s "$1" "$2"', target, f"{PLACE}/shared/public")
    run = module("release", {**place, "shared_directories": ["public/uploads"]}, fails=True)
    assert f"{PLACE}/shared/public/uploads" in run.result["msg"]
    assert "Permission denied" in run.result["msg"]
    assert listing(host, target) == before
    assert host.check_output(f"ls {PLACE}/releases") == "", "nothing of the release is left"


def test_a_link_that_the_service_may_follow_goes_on_working(
    host: Host, attacker: Attacker, place: dict[str, Any]
) -> None:
    attacker.run('mkdir "$1/disk" && ln -s "$1/disk" "$1/public"', f"{PLACE}/shared")
    module("release", {**place, "shared_directories": ["public/uploads"]})
    assert host.file(f"{PLACE}/shared/disk/uploads").user == HOSTILE
    assert host.file(f"{PLACE}/releases/1/public/uploads").linked_to == f"{PLACE}/shared/disk/uploads"


def test_a_race_in_the_shared_directory_is_not_won(host: Host, attacker: Attacker, place: dict[str, Any]) -> None:
    before = listing(host, VICTIM)
    attacker.run('mkdir "$1/public" && ln -s "$2" "$1/other"', f"{PLACE}/shared", VICTIM)
    with swapping(attacker, f"{PLACE}/shared/public", f"{PLACE}/shared/other"):
        for _attempt in range(2):
            command_ended(place)
    assert listing(host, VICTIM) == before


def test_a_race_in_a_writable_release_is_not_won(host: Host, attacker: Attacker, place: dict[str, Any]) -> None:
    """Root links what is shared into a release whose directories the service's user exchanges for links meanwhile."""
    before = listing(host, VICTIM)
    options = {**place, "writable": True}
    module("release", options)
    release = f"{PLACE}/releases/1"
    attacker.run('mkdir "$1/public" && ln -s "$2" "$1/other"', release, VICTIM)
    with swapping(attacker, f"{release}/public", f"{release}/other"):
        for _attempt in range(2):
            command_ended(options)
    assert listing(host, VICTIM) == before


def command_ended(options: dict[str, Any]) -> None:
    """A run of the module, which may fail: whoever exchanges its directories gets no release."""
    try:
        module("release", {**options, "shared_directories": NAMES})
    except AssertionError as error:
        assert "FAILED! =>" in str(error), error


@pytest.mark.usefixtures("place")
def test_the_saved_list_is_made_private_and_nothing_else(host: Host, attacker: Attacker, hostile: Service) -> None:
    """What PM2 has saved is made private after it; root's file must keep its mode whatever has its name by then."""
    before = listing(host, VICTIM)
    attacker.run('ln -s "$1/dump.pm2" "$2/other"', VICTIM, PM2["pm2_home"])
    options = {**PM2, **NO_APP}
    with swapping(attacker, f"{PM2['pm2_home']}/dump.pm2", f"{PM2['pm2_home']}/other"):
        for _attempt in range(2):
            try:
                module("pm2_app", options)
            except AssertionError as error:
                assert "FAILED! =>" in str(error), error
    assert listing(host, VICTIM) == before
    attacker.run('cd "$1" && rm -f other dump.pm2', PM2["pm2_home"])
    assert module("pm2_app", options).result["saved"] is True
    assert host.file(f"{PM2['pm2_home']}/dump.pm2").mode == 0o600
    hostile.settled()


THIEF = """
const { renameSync, symlinkSync } = require('node:fs');
try {
  renameSync('%(log)s', '%(log)s.kept');
  symlinkSync('/srv/kiosk/config/environment', '%(log)s');
} catch {}
setTimeout(() => process.exit(1), 300);
"""


def test_logs_that_lead_to_the_neighbours_secrets_are_not_shown(
    host: Host, attacker: Attacker, hostile: Service, neighbour: Service, tmp_path: Path
) -> None:
    secrets = [
        line.partition("=")[2]
        for line in host.file(f"/srv/{neighbour.name}/config/environment").content_string.splitlines()
        if line.startswith(("JWT_SECRET=", "DATABASE_URL="))
    ]
    assert len(secrets) == 2
    (tmp_path / "package.json").write_text('{"name": "thief", "version": "1.0.0"}', encoding="utf-8")
    (tmp_path / "server.js").write_text(THIEF % {"log": LOG}, encoding="utf-8")
    before = hostile.settled()
    run = wait(
        hostile.start(
            "deploy",
            FROM_RELEASE,
            release_directory=str(tmp_path),
            release_build=False,
            release_keep=20,
            pm2_script="server.js",
            pm2_loader="",
            pm2_wait_ready=False,
            pm2_start_timeout=8,
        )
    )
    try:
        assert host.file(LOG).is_symlink, run.output
        assert run.code != 0
        assert "was not taken into service" in run.output
        assert [secret for secret in secrets if secret in run.output] == []
    finally:
        attacker.run('mv "$1.kept" "$1"', LOG)
    assert hostile.settled()["active"] == before["active"]


def test_nesting_beyond_what_descriptors_suffice_for_stops_no_run(attacker: Attacker, hostile: Service) -> None:
    logs = str(Path(LOG).parent)
    attacker.run('cd "$1" && python3 -c "$2"', logs, NEST)
    try:
        run = wait(hostile.start("site", "--tags=immediate"), SECONDS)
        assert run.code == 0, run.output
    finally:
        attacker.run('rm -r "$1/n"', logs)


def test_no_lock_and_no_file_of_the_services_keeps_a_deployment_out(attacker: Attacker, hostile: Service) -> None:
    active = hostile.settled()["active"]
    attacker.run('nohup flock "$1" sleep 1234 </dev/null >/dev/null 2>&1 &', f"/srv/{HOSTILE}/releases")
    snapshot = f"/srv/{HOSTILE}/activations/{active}/environment"
    attacker.run("""printf 'A=\\377\\n' >>"$1" && truncate -s 100G "$1" """, snapshot)
    try:
        run = wait(hostile.start("deploy", FROM_RELEASE), SECONDS)
        assert run.code == 0, run.output
    finally:
        attacker.run("pkill -f '[s]leep 1234'")
    assert hostile.settled()["active"] != active


def test_root_opens_nothing_that_a_pid_file_leads_to(host: Host, attacker: Attacker) -> None:
    """A device may act as soon as it is opened; here a file of root's would name the daemon."""
    path = f"{PM2['pm2_home']}/pm2.pid"
    host.check_output(f"install -d -m 0700 {VICTIM} && cat %s > {VICTIM}/pid", path)
    attacker.run('mv "$1" "$1.kept" && ln -s "$2" "$1"', path, f"{VICTIM}/pid")
    try:
        assert "PM2 is not running" in host.run(f"{HOSTILE}-pm2 list").stderr
    finally:
        attacker.run('mv "$1.kept" "$1"', path)
        host.check_output(f"rm -r {VICTIM}")
    assert host.run(f"{HOSTILE}-pm2 list").rc == 0


def test_what_a_daemon_says_of_itself_takes_no_memory_of_root_s(attacker: Attacker) -> None:
    """It says gigabytes a second: what is asked of it ends at the first 16 MB, long before its time limit of 20 s."""
    path, program, began = f"{PM2['pm2_home']}/pm2.pid", f"{HOME}/molecule-endless", time.monotonic()
    attacker.run(NAMED, program, path, ENDLESS)
    try:
        daemon = module("pm2_info", PM2).result["daemon"]
    finally:
        attacker.run('mv "$2.kept" "$2"; rm "$1"; pkill -f "[s]leep 1234"', program, path)
    assert (daemon["pm2"], daemon["node"]) == ("0.0.0", "")
    assert time.monotonic() - began < 20


@contextmanager
def fifo(attacker: Attacker, path: str) -> Iterator[None]:
    """The attacker puts a FIFO in the place of a file of its own."""
    attacker.run('mv "$1" "$1.kept" && mkfifo "$1"', path)
    try:
        yield
    finally:
        attacker.run('mv "$1.kept" "$1"', path)


def test_a_fifo_as_pid_file_holds_nobody_up(attacker: Attacker, hostile: Service) -> None:
    before, began = hostile.settled()["active"], time.monotonic()
    with fifo(attacker, f"{PM2['pm2_home']}/pm2.pid"):
        assert module("pm2_info", PM2).result["daemon"] is None
        run = wait(hostile.start("deploy", FROM_RELEASE), SECONDS)
    assert time.monotonic() - began < SECONDS
    # PM2 answers on its socket
    assert run.code == 0, run.output
    assert hostile.settled()["active"] == before


def test_a_fifo_as_pid_file_does_not_stop_the_hosts_systemd(host: Host, attacker: Attacker, hostile: Service) -> None:
    """systemd would read a PIDFile when the daemon ends: the whole host would wait for whoever writes into the FIFO."""
    path = f"{PM2['pm2_home']}/pm2.pid"
    daemon = host.check_output("cat %s", path)
    attacker.run('rm "$1" && mkfifo "$1" && kill -KILL "$2"', path, daemon)
    try:
        deadline = time.monotonic() + 60
        while host.check_output(f"timeout 10 systemctl show --property=MainPID --value '{HOSTILE}@*'") == daemon:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert host.check_output("timeout 10 systemctl is-active nginx.service") == "active"
    finally:
        # PM2's new daemon is the one who waits
        attacker.run('rm -f "$1"; pkill -KILL -f "[G]od Daemon" || true', path)
    found = hostile.until(lambda found: [item["status"] for item in found["pm2"]] == ["online"] * 2, 120)
    assert not found["locked"], found


@pytest.mark.usefixtures("place")
def test_a_fifo_as_saved_list_is_replaced(host: Host, attacker: Attacker, hostile: Service) -> None:
    dump = f"{PM2['pm2_home']}/dump.pm2"
    attacker.run('rm -f "$1" && mkfifo "$1"', dump)
    assert module("pm2_info", PM2).result["saved_list"] == "damaged"
    assert module("pm2_app", {**PM2, **NO_APP}).result["saved"] is True
    assert host.file(dump).mode == 0o600
    hostile.settled()


def test_a_process_of_another_user_is_not_taken_for_the_daemon(
    host: Host, attacker: Attacker, neighbour: Service
) -> None:
    """What the service's pid file names is asked for its versions, and its unit is restarted."""
    theirs = host.check_output(f"cat /srv/{neighbour.name}/active/pm2/pm2.pid")
    path = f"{PM2['pm2_home']}/pm2.pid"
    attacker.run('mv "$1" "$1.kept" && printf %s "$2" >"$1"', path, theirs)
    try:
        assert module("pm2_info", PM2).result["daemon"] is None
    finally:
        attacker.run('mv "$1.kept" "$1"', path)
    active = host.check_output("basename $(readlink %s)", f"/srv/{HOSTILE}/active")
    assert module("pm2_info", PM2).result["daemon"]["unit"] == f"{HOSTILE}@{active}.service"
