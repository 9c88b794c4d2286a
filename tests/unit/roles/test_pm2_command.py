# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command <service>-pm2 and the lock that all take who change PM2's processes; its PM2 is a stand-in."""

from __future__ import annotations

import fcntl
import getpass
import grp
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.plugins.filter.core import comment, quote
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from places import ROOT

# Says whether the lock is held while it runs.
PM2 = '#!/bin/sh\nif flock --nonblock "$PM2_HOME" true; then echo "$* unlocked"; else echo "$* locked"; fi\n'
DAEMON = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """PM2's directory, with a process in it that passes for its daemon."""
    pm2 = tmp_path / "pm2"
    pm2.write_text(PM2)
    pm2.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-c", DAEMON, "God Daemon"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout
        daemon.stdout.readline()
        (home / "pm2.pid").write_text(str(daemon.pid))
        yield home
        daemon.communicate()


@pytest.fixture
def command(home: Path, tmp_path: Path) -> Path:
    environment = Environment(loader=FileSystemLoader(ROOT / "roles/nodejs/templates"), undefined=StrictUndefined)
    environment.filters.update(comment=comment, quote=quote)
    text = environment.get_template("pm2.sh.j2").render(
        ansible_managed="Ansible managed",
        service_mark="shop",
        service_name="shop",
        service_unit="shop.service",
        service_user=getpass.getuser(),
        service_group=grp.getgrgid(os.getgid()).gr_name,
        service_paths={"home": str(home), "pm2_home": str(home), "pm2_bin": str(tmp_path)},
    )
    path = tmp_path / "shop-pm2"
    path.write_text(text.replace("--wait 60", "--wait 1"))
    return path


def start(command: Path, *words: str) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(["sh", str(command), *words], text=True, **pipes)


@pytest.fixture
def held(home: Path) -> Iterator[int]:
    """The lock, as a module or the watchdog has it."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    "words", [["stop", "all"], ["restart", "0"], ["scale", "shop", "3"], ["--silent", "delete", "0"]]
)
def test_what_changes_processes_holds_the_lock(command: Path, words: list[str]) -> None:
    assert start(command, *words).communicate(timeout=10) == (f"{' '.join(words)} locked\n", "")


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("words", [["list"], ["jlist"], ["logs", "--raw"], ["describe", "0"], ["--version"], []])
def test_what_only_reads_does_not_wait(command: Path, words: list[str]) -> None:
    assert start(command, *words).communicate(timeout=10) == (f"{' '.join(words)} locked\n", "")


def test_of_a_process_that_passes_for_the_daemon_only_the_beginning_is_read(command: Path, home: Path) -> None:
    """A process can make its command line as long as it likes: here the words come after 100,000 characters."""
    words = [sys.executable, "-c", DAEMON, "x" * 100_000, "God Daemon"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        (home / "pm2.pid").write_text(str(process.pid))
        output, said = start(command, "list").communicate(timeout=10)
        process.communicate()
    assert (output, said.partition(";")[0]) == ("", "shop-pm2: PM2 is not running")


def test_what_changes_processes_waits_for_another(command: Path, held: int) -> None:
    stop = start(command, "stop", "all")
    assert stop.stderr
    assert "waiting for another command, or the watchdog" in stop.stderr.readline()
    fcntl.flock(held, fcntl.LOCK_UN)
    assert stop.communicate(timeout=10) == ("stop all locked\n", "")


@pytest.mark.usefixtures("held")
def test_it_does_not_wait_for_ever(command: Path) -> None:
    stop = start(command, "stop", "all")
    output, said = stop.communicate(timeout=10)
    assert (stop.returncode, output) == (75, "")
    assert "nothing was done. Try again" in said
