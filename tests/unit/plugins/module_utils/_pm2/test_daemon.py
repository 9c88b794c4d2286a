# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of a daemon: a program with its title, its socket and its home stands for it here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client, unit_in, unit_of
from ansible_collections.workbot.stability.plugins.module_utils._pm2.converge import LogTail, save, saved_list
from ansible_collections.workbot.stability.plugins.module_utils._pm2.daemon import (
    daemon_of,
    package_directory,
    with_versions,
)
from ansible_collections.workbot.stability.plugins.module_utils._pm2.errors import Pm2Error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.fields import FIELDS
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import live_processes
from ansible_collections.workbot.stability.plugins.modules import pm2_info
from ansible_collections.workbot.stability.plugins.modules.pm2_info import read_info
from axon import answering

PM2 = "#!/bin/sh\n"
NODE = """#!/bin/sh
[ "$1" = --version ] && echo v26.1.0
"""


@pytest.fixture
def client(tmp_path: Path) -> Pm2Client:
    package = tmp_path / "node_modules" / "pm2"
    for path, text in {
        package / "bin" / "pm2": PM2,
        package / "lib" / "Common.js": "",
        package / "package.json": json.dumps({"version": "7.0.4"}),
        tmp_path / "bin" / "node": NODE,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "bin" / "pm2").symlink_to(package / "bin" / "pm2")
    (tmp_path / "home").mkdir()
    bin_directory = tmp_path / "bin"
    return Pm2Client(tmp_path / "home", str(bin_directory / "pm2"), str(bin_directory / "node"), None, 5)


@pytest.fixture
def daemon(client: Pm2Client) -> Iterator[int]:
    """It has the processes that a file says, and answers once there is one."""
    titled = ["PM2 v6.9.9: God Daemon", "-c", "echo ready; read line"]
    processes, over = client.home / "list", threading.Event()

    def told() -> Any:
        # a file is there before what is written to it
        while not ((text := processes.read_text() if processes.exists() else "") or over.wait(0.05)):
            pass
        return json.loads(text)

    with (
        subprocess.Popen(titled, executable="/bin/sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        answering(client.home / "rpc.sock", told),
    ):
        assert process.stdout is not None
        process.stdout.readline()
        (client.home / "pm2.pid").write_text(str(process.pid))
        yield process.pid
        over.set()
        process.send_signal(signal.SIGCONT)


def test_an_outdated_daemon_is_told_by_its_versions(client: Pm2Client, daemon: int) -> None:
    found = daemon_of(client)
    assert found is not None
    assert (found.pid, found.pm2, found.installed_pm2, found.outdated) == (daemon, "6.9.9", "7.0.4", True)
    assert found.other_node
    assert "PM2: 6.9.9 -> 7.0.4" in with_versions(client, found).difference()


def test_a_stopped_daemon_is_an_error_that_says_what_to_do(client: Pm2Client, daemon: int) -> None:
    (client.home / "list").write_text("[]")
    assert live_processes(client) == []
    os.kill(daemon, signal.SIGSTOP)
    time.sleep(0.1)
    with pytest.raises(Pm2Error, match=rf"was stopped by a signal and answers nothing: .*kill -CONT {daemon}"):
        live_processes(client)
    assert "kill -CONT" in read_info(client)["problem"]


def test_a_daemon_that_takes_too_long_is_named(client: Pm2Client, daemon: int) -> None:
    hurried = replace(client, timeout=0.2)
    said = rf"^PM2's daemon \(process {daemon}\): no answer on rpc.sock within 0.2 s; end it and start the unit"
    with pytest.raises(Pm2Error, match=said):
        live_processes(hurried)
    (client.home / "list").write_text("[]")
    assert live_processes(client) == []


def test_without_a_daemon_there_is_only_what_is_installed(client: Pm2Client) -> None:
    assert read_info(client) == {
        "daemon": None,
        "processes": [],
        "saved_list": None,
        "problem": "",
        "pm2": "7.0.4",
    }


def garbled(value: Any) -> dict[str, Any]:
    """A record as no PM2 has it."""
    names = (
        *(field.live for field in FIELDS.values()),
        *("env", "exit_code", "namespace", "node_version", "unstable_restarts"),
    )
    return {"name": "a", "pm_id": 0, "pid": 5, "pm2_env": {"status": "stopped", **dict.fromkeys(names, value)}}


@pytest.mark.parametrize("value", [5, "abc", "\ud800", [], [None], {"a": [1]}, 1e999])
def test_of_a_garbled_record_is_told_what_can_be(
    client: Pm2Client, daemon: int, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    (client.home / "list").write_text(json.dumps([garbled(value)]))
    (client.home / "dump.pm2").write_text("[]")
    options = {"pm2_home": str(client.home), "user": None, "pm2": client.pm2, "node": client.node}
    with patch_module_args(options), pytest.raises(SystemExit):
        pm2_info.main()
    told = json.loads(capsys.readouterr().out)
    assert (told["daemon"]["pid"], told["saved_list"], told["problem"]) == (daemon, "another", "")
    (process,) = told["processes"]
    assert (process["name"], process["status"]) == ("a", "stopped")
    for name in ("unstable_restarts", "exit_code"):
        assert process[name] is None or isinstance(process[name], int)
    for name in ("script", "cwd", "interpreter", "node_version", "out_file", "error_file"):
        assert process[name] is None or isinstance(process[name], str)


def test_a_command_that_is_not_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "pm2").write_text(PM2)
    with pytest.raises(Pm2Error, match="is no link into PM2's package"):
        package_directory(str(tmp_path / "pm2"))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (None, "missing"),
        ("[", "damaged"),
        ("{}", "damaged"),
        ("[1]", "damaged"),
        ("[]", "current"),
        ('[{"name": "a"}]', "another"),
        ('[{"status": "stopped", "stop_exit_codes": "abc"}]', "another"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_the_saved_list(client: Pm2Client, text: str | None, state: str) -> None:
    path = client.home / "dump.pm2"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    assert saved_list(client, []) == state


def test_a_saved_list_that_others_can_read(client: Pm2Client) -> None:
    (client.home / "dump.pm2").write_text("[]")
    (client.home / "dump.pm2").chmod(0o644)
    assert saved_list(client, []) == "readable by others"


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/pm2-shop.service\n", "pm2-shop.service"),
        ("9:name=systemd:/machine/x/system.slice/pm2.service\n8:pids:/machine/x\n0::/machine/x\n", "pm2.service"),
        ("0::/system.slice/pm2.service/workers\n", "pm2.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/pm2.service\n", "pm2.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/\n", ""),
    ],
)
def test_the_innermost_service_of_a_process(cgroup: str, unit: str) -> None:
    assert unit_in(cgroup) == unit


def test_a_process_that_was_started_by_hand_is_in_no_unit() -> None:
    assert unit_of(os.getpid()) == ""


def test_nobody_waits_for_a_fifo(client: Pm2Client) -> None:
    for name in ("pm2.pid", "dump.pm2", "error.log"):
        os.mkfifo(client.home / name)
    assert client.daemon_pid() is None
    assert saved_list(client, []) == "damaged"
    app = {"cwd": str(client.home), "error_file": "error.log"}
    assert LogTail(app, None, whole=True).lines() == []


def test_a_log_is_read_with_the_rights_of_its_user(tmp_path: Path) -> None:
    """A link to what only root may read says nothing; who is not root may read its own log anyway."""
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("neighbour\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "error.log").symlink_to("secret")
    app = {"cwd": str(tmp_path), "error_file": "error.log"}
    nobody = Identity("nobody", 65534, 65534, "/nonexistent")
    assert LogTail(app, None, whole=True).lines() == (["neighbour"] if os.geteuid() else [])
    assert LogTail(app, nobody, whole=True).lines() == (["neighbour"] if os.geteuid() else [])


def test_what_pm2_saved_is_made_private_as_its_user(client: Pm2Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the names lead to by then, the user's rights are not enough for a file of root's."""
    user = Identity("nobody", 65534, 65534, "/nonexistent")
    monkeypatch.setattr(Pm2Client, "owner", user)
    theirs = client.home / "theirs"
    theirs.write_text("x")
    theirs.chmod(0o644)
    if os.geteuid() == 0:
        for path in (client.home, *client.home.parents[:3]):
            path.chmod(0o755)
        os.chown(client.home, user.uid, user.gid)

    def swapped(_client: Pm2Client, *_arguments: str) -> str:
        (client.home / "dump.pm2").symlink_to(theirs)
        return ""

    monkeypatch.setattr(Pm2Client, "run", swapped)
    if os.geteuid() == 0:
        with pytest.raises(PermissionError):
            save(client)
        assert theirs.stat().st_mode & 0o777 == 0o644
    else:
        save(client)
        assert theirs.stat().st_mode & 0o777 == 0o600
