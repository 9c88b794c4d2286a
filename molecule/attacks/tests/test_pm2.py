# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PM2 says of its workers, what systemd says of a unit that was stopped, and what runs as root."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from deployments import Service
from faults import activation_unit, forgotten, given_up, pids, signal, without_environment, workers
from recovery import WORKERS, Samples, Watch
from testinfra.host import Host
from waiting import until


@pytest.fixture
def watch(host: Host) -> Iterator[Watch]:
    """Of a service that is well, with the whole budget; afterwards it is so again."""
    found = Watch(host, Samples())
    _calm(found)
    yield found
    host.run(f"systemctl start {activation_unit(host)} nginx")
    _calm(found)


def _calm(watch: Watch) -> None:
    def calm() -> bool:
        online = [worker for worker in workers(watch.host) if worker["status"] == "online"]
        return len(online) == WORKERS and watch.status()["state"] == "healthy" and not watch.status()["problems"]

    watch.command("resume")
    forgotten(watch.host)
    until("the service is well", calm, 60)


def test_a_worker_that_pm2_gave_up_is_told_and_started_while_another_serves(host: Host, watch: Watch) -> None:
    # PM2 gives up what ends again and again soon after such a start only
    host.check_output("workbot-pm2 restart all")
    began = time.time()
    victim = min(pids(host))
    with without_environment(host):
        signal(host, "KILL", victim)
        until("PM2 gives it up", lambda: given_up(host) == 1, 60)
        assert watch.until_told(began, "worker_missing")["severity"] == "warning"
        watch.until_acted(began)
    # it was never, or 17 minutes later
    until("both serve", lambda: len(watch.answering()) == WORKERS, 90)
    assert watch.actions(began) == ("restart_worker",)


def inhibited_by(watch: Watch, target: str) -> str:
    """The code of what inhibits recovery of the target; empty when nothing does."""
    inhibition = watch.status()["targets"][target]["inhibition"]
    return str(inhibition["code"]) if inhibition else ""


# The daemon hangs while its unit is being stopped, and is killed in the end: the unit has failed, by a signal.
SLOW_STOP = """[Service]
ExecStop=
ExecStop=/bin/sh -c 'kill -STOP $MAINPID; sleep 12; kill -KILL $MAINPID'
"""

# Debian's own command to stop it has as long as systemd gives it: either may be the first to give up.
HASTY_STOP = """[Service]
ExecStop=
ExecStop=/bin/sleep 30
TimeoutStopSec=2
"""


@contextmanager
def drop_in(host: Host, unit: str, text: str) -> Iterator[None]:
    directory = f"/run/systemd/system/{unit}.d"
    host.check_output("mkdir -p %s && printf %%s %s > %s/test.conf", directory, text, directory)
    host.check_output("systemctl daemon-reload")
    try:
        yield
    finally:
        host.check_output("rm -r %s && systemctl daemon-reload", directory)


def result(host: Host, unit: str) -> str:
    return str(host.check_output("systemctl show --property=ActiveState,Result --value %s", unit).replace("\n", " "))


def test_a_stop_of_pm2_that_hangs_and_ends_by_a_signal_is_left_alone(host: Host, watch: Watch) -> None:
    began, unit = time.time(), activation_unit(host)
    with drop_in(host, "workbot@.service", SLOW_STOP):
        host.check_output(f"systemctl stop --no-block {unit}")
        until("it is inhibited", lambda: inhibited_by(watch, "service") == "stopped_by_operator", 12)
        assert result(host, unit).endswith("deactivating")
        until("it ends", lambda: result(host, unit) == "signal failed", 40)
        # as many probes as it would take to restart it
        watch.until_told(began, "stopped_by_operator")
    assert watch.actions(began) == ()
    assert result(host, unit) == "signal failed"


def test_a_stop_of_nginx_that_ends_by_its_time_limit_is_left_alone_by_both_services(
    host: Host, watch: Watch, neighbour: Service
) -> None:
    began = time.time()
    with drop_in(host, "nginx.service", HASTY_STOP):
        host.run("systemctl stop nginx")
    assert result(host, "nginx") == "timeout failed"
    watch.until_told(began, "stopped_by_operator")
    log = f"/var/log/{neighbour.name}/monitor.log"
    until("the neighbour is told", lambda: _told_since(host, log, began), 40)
    assert result(host, "nginx") == "timeout failed"
    assert "restart_proxy" not in watch.actions(began)


def _told_since(host: Host, log: str, began: float) -> bool:
    # a watchdog that has just been installed may have written nothing yet
    lines = [json.loads(line) for line in host.run("tail -n 50 %s", log).stdout.splitlines()]
    return any(line["time"] >= began and line.get("code") == "stopped_by_operator" for line in lines)


# A program that ends with 143 when it is asked to end, and one that does not end.
ENDS = "trap 'exit 143' TERM; while :; do sleep 0.1; done"
IGNORES = "trap '' TERM; while :; do sleep 0.1; done"
UNIT = "molecule-deaths.service"
JUDGE = """
import sys
sys.path.insert(0, "/usr/local/lib/workbot-watchdog-act")
from stability._host.units import unit_states, was_stopped
print(was_stopped(unit_states([sys.argv[1]])[sys.argv[1]]))
"""
STOP, START = f"systemctl stop {UNIT}", f"systemctl start {UNIT}"
MAIN = f"$(systemctl show --property=MainPID --value {UNIT})"


@dataclass(frozen=True)
class Death:
    program: str
    deed: str
    """What is done to the unit."""
    state: str = ""
    """What it is then; empty: failed, or waiting to be started again."""
    stopped: bool = False


DEATHS = {
    "143": Death(ENDS, STOP, "failed", stopped=True),
    "time limit": Death(IGNORES, STOP, "failed", stopped=True),
    "being stopped": Death(IGNORES, f"systemctl stop --no-block {UNIT}", "deactivating", stopped=True),
    "killed": Death(ENDS, f"kill -9 {MAIN}"),
    "asked to end": Death(ENDS, f"kill {MAIN}"),
    "killed by systemctl": Death(IGNORES, f"systemctl kill --signal=KILL {UNIT}"),
    "fails to start after a stop": Death(ENDS, f"{STOP}; touch /run/molecule-fails; {START}"),
}


@pytest.mark.parametrize("restart", ["no", "always"])
@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_stop_is_told_from_a_death(host: Host, death: Death, restart: str) -> None:
    # what is to be started again waits for that during the whole test
    service = [f"Restart={restart}", "RestartSec=600", "TimeoutStopSec=8", "ExecStartPre=test ! -e /run/molecule-fails"]
    text = "\n".join(["[Service]", *service, f'ExecStart=/bin/sh -c "{death.program}"'])
    try:
        host.check_output("printf %%s %s > /run/systemd/system/%s && systemctl daemon-reload", text, UNIT)
        host.check_output(f"{START} && sleep 0.3")
        host.run(death.deed)
        state = death.state or ("activating" if restart == "always" else "failed")
        until("it is as it should be", lambda: result(host, UNIT).endswith(state), 30)
        assert host.check_output("python3 -c %s %s", JUDGE, UNIT) == str(death.stopped)
    finally:
        host.run(f"systemctl kill --signal=KILL {UNIT}; {STOP}; systemctl reset-failed {UNIT}")
        host.run(f"rm -f /run/systemd/system/{UNIT} /run/molecule-fails; systemctl daemon-reload")


# Code of the service: pushes a command into the terminal, if it has a part in root's.
PUSHES = r"""#!/usr/bin/python3
import fcntl, os, termios
for way in (lambda: 0, lambda: 1, lambda: 2, lambda: os.open("/dev/tty", os.O_RDWR)):
    try:
        for byte in b"touch /run/pushed\n":
            fcntl.ioctl(way(), termios.TIOCSTI, bytes([byte]))
    except OSError:
        pass
print("tried", flush=True)
"""
# Root at a terminal: runs a command there, types what the second argument says once a word of output has come, and says
# what is left to be read from the terminal afterwards.
TERMINAL = r"""
import os, pty, select, sys, time
LEFT = "import os, select; print('left', os.read(0, 99) if select.select([0], [], [], 1)[0] else b'')"
command, keys = sys.argv[1], sys.argv[2].encode().decode("unicode_escape").encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", f"trap : INT; {command}; python3 -c \"{LEFT}\""])
output, deadline = b"", time.monotonic() + 20
while time.monotonic() < deadline:
    if select.select([terminal], [], [], 0.2)[0]:
        try:
            output += os.read(terminal, 4096)
        except OSError:
            break
    elif output and keys:
        os.write(terminal, keys)
        keys = b""
print(output.decode(errors="replace"))
"""
FAKE = "/var/tmp/molecule-fake"


def at_terminal(host: Host, command: str, keys: str = "") -> str:
    return str(host.check_output("python3 -c %s %s %s", TERMINAL, command, keys))


@pytest.mark.parametrize("rest", ["", "| cat", "2>/dev/null >/run/molecule-said </dev/null"])
def test_code_of_the_service_types_nothing_into_root_s_terminal(host: Host, rest: str) -> None:
    """The wrapper as it is, but for where it finds PM2."""
    if host.run("test $(cat /proc/sys/dev/tty/legacy_tiocsti || echo 1) = 1").rc:
        pytest.skip("this kernel knows no TIOCSTI any more")
    host.check_output(f"mkdir {FAKE} && printf %%s %s > {FAKE}/pm2 && chmod 0755 {FAKE}/pm2", PUSHES)
    try:
        host.check_output(f"sed s#^bin=.*#bin={FAKE}# /usr/local/bin/workbot-pm2 > {FAKE}/wrapper")
        said = at_terminal(host, f"sh {FAKE}/wrapper list {rest}; cat /run/molecule-said 2>/dev/null")
        assert "tried" in said
        assert "left b''" in said
    finally:
        host.check_output(f"rm -rf {FAKE} /run/molecule-said")


@pytest.mark.parametrize("rest", ["", "| cat"])
def test_ctrl_c_ends_the_service_s_pm2_command(host: Host, rest: str) -> None:
    said = at_terminal(host, f"workbot-pm2 logs --raw {rest}", r"\x03")
    assert "left b''" in said
    until("nothing of it is left", lambda: host.run("pgrep --uid workbot --full 'pm2 logs'").rc == 1, 10)
