# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root helper: who is answered, which words it knows, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog import (
    root_helper as _watch_privileged,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.proxy import (
    DEAD,
    FULL,
    HEALTHY,
    TAKEN,
    Verdict,
)
from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.root_helper import (
    Helper,
    carry_out,
    count,
    read_word,
    require_peer,
)
from places import ROOT


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def helper(directory: Path, **changes: Any) -> Helper:
    usual: dict[str, Any] = {
        "watchdog_unit": "shop-watchdog.service",
        "pm2_unit": "shop@.service",
        "renewal_unit": "shop-renewal.service",
        "active": str(directory / "active"),
        "proxy_unit": "nginx.service",
        "restarts_proxy": True,
        "url": "http://127.0.0.1/health",
        "host_name": "",
        "own": directory,
        "shared": directory,
    }
    return Helper(**{**usual, **changes})


class Systemd:
    """Keeps what was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **state: str) -> None:
        self.done: list[list[str]] = []
        self.state = {"LoadState": "loaded", "ActiveState": "active", "Result": "success", "MainPID": "7", **state}
        self.verdict = Verdict(DEAD, "its main process is not there")
        self.problem = ""
        monkeypatch.setattr(_watch_privileged, "unit_states", lambda units, _seconds: dict.fromkeys(units, self.state))
        monkeypatch.setattr(_watch_privileged, "_command", self.command)
        monkeypatch.setattr(_watch_privileged, "call", lambda *argv, **_named: self.command([*argv]))
        monkeypatch.setattr(_watch_privileged, "probe", lambda *_arguments: self.verdict)
        monkeypatch.setattr(_watch_privileged, "proxy_problem", lambda: self.problem)

    def command(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        self.done.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    return Systemd(monkeypatch)


@pytest.mark.parametrize(("main", "answered"), [(os.getpid(), True), (os.getppid(), False), (0, False)])
def test_only_the_unit_s_main_process_is_answered(main: int, answered: bool) -> None:
    """Whatever else runs in the unit is not the watchdog."""
    refusal = pytest.raises(StabilityError, match=r"only shop-watchdog\.service itself is answered")
    ours, theirs = pair()
    with ours, theirs, contextlib.nullcontext() if answered else refusal:
        require_peer(ours, "shop-watchdog.service", main)


@pytest.mark.parametrize(
    ("active", "result", "refused"),
    [("inactive", "success", True), ("failed", "signal", False), ("active", "success", False)],
)
def test_what_an_operator_stopped_is_not_started(
    active: str, result: str, refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    systemd = Systemd(monkeypatch, ActiveState=active, Result=result)
    (tmp_path / "active").symlink_to(tmp_path / "activations/a")
    with pytest.raises(StabilityError, match="was stopped by an operator") if refused else contextlib.nullcontext():
        carry_out("restart-daemon", helper(tmp_path))
    assert bool(systemd.done) is not refused


def test_another_activation_is_begun_unless_an_operator_has_stopped_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "active").symlink_to(tmp_path / "activations/a")
    systemd = Systemd(monkeypatch)
    assert carry_out("renew-activation", helper(tmp_path)).startswith("shop-renewal.service makes another activation")
    assert systemd.done == [["systemctl", "start", "--no-block", "shop-renewal.service"]]
    # it counts as a restart does
    assert len(json.loads((tmp_path / "restarts.json").read_text())) == 1
    stopped = Systemd(monkeypatch, ActiveState="inactive")
    with pytest.raises(StabilityError, match="was stopped by an operator"):
        carry_out("renew-activation", helper(tmp_path))
    assert not stopped.done


@pytest.mark.parametrize("name", ["a", "a@2"])
def test_the_unit_of_the_activation_that_is_active_is_restarted(systemd: Systemd, tmp_path: Path, name: str) -> None:
    """Root itself reads which that is: the watchdog names none."""
    (tmp_path / "active").symlink_to(tmp_path / "activations" / name)
    assert carry_out("restart-daemon", helper(tmp_path)) == f"restarted shop@{name}.service"
    assert {word for argv in systemd.done for word in argv if word.startswith("shop@")} == {f"shop@{name}.service"}


def test_what_a_killed_deployment_has_stopped_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a service of which never two may run it stops the active one first."""
    systemd = Systemd(monkeypatch, ActiveState="inactive")
    for name in ("a", "b"):
        (tmp_path / "activations" / name).mkdir(parents=True)
    (tmp_path / "active").symlink_to(tmp_path / "activations/a")
    assert carry_out("restart-daemon", helper(tmp_path)) == "restarted shop@a.service"
    assert systemd.done


def test_what_a_deployment_under_way_has_stopped_is_left_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    systemd = Systemd(monkeypatch, ActiveState="inactive")
    for name in ("a", "b"):
        (tmp_path / "activations" / name).mkdir(parents=True)
    (tmp_path / "active").symlink_to(tmp_path / "activations/a")
    for name, words in ((".processes.lock", "a deployment is exchanging"), (".deploy.lock", "stopped by an operator")):
        with lock(tmp_path / name, AssertionError()), pytest.raises(StabilityError, match=words):
            carry_out("restart-daemon", helper(tmp_path))
    assert not systemd.done


def test_where_nothing_is_active_no_daemon_is_restarted(systemd: Systemd, tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="not this watchdog's to restart"):
        carry_out("restart-daemon", helper(tmp_path))
    assert not systemd.done


def test_the_unit_of_an_existing_service_is_what_it_is_called(systemd: Systemd, tmp_path: Path) -> None:
    assert carry_out("restart-daemon", helper(tmp_path, pm2_unit="own.service")) == "restarted own.service"
    assert systemd.done


@pytest.mark.parametrize("state", [HEALTHY, FULL, TAKEN])
def test_a_proxy_that_no_restart_would_help_is_not_restarted(systemd: Systemd, tmp_path: Path, state: str) -> None:
    """Whoever asks for it: the watchdog runs as the service's user."""
    systemd.verdict = Verdict(state, "it answers")
    assert carry_out("test-proxy", helper(tmp_path)) == f"{state} it answers"
    with pytest.raises(StabilityError, match=r"nginx\.service needs no restart: it answers"):
        carry_out("restart-proxy", helper(tmp_path))
    assert not systemd.done


def test_one_restart_of_the_proxy_is_one_for_all_services(systemd: Systemd, tmp_path: Path) -> None:
    for name in ("shop", "kiosk"):
        (tmp_path / name).mkdir()
    first, second = (helper(tmp_path, own=tmp_path / name) for name in ("shop", "kiosk"))
    assert carry_out("restart-proxy", first) == "restarted nginx.service"
    done = len(systemd.done)
    assert carry_out("restart-proxy", second) == "nginx.service was restarted already, 0 s ago"
    assert len(systemd.done) == done
    # some time later it is another restart, which counts for both
    moments = json.loads((tmp_path / "restarts.json").read_text())
    (tmp_path / "restarts.json").write_text(json.dumps([moment - 30 for moment in moments]))
    assert carry_out("restart-proxy", second) == "restarted nginx.service"
    assert len(json.loads((tmp_path / "restarts.json").read_text())) == 2


def test_a_proxy_that_could_not_be_started_is_left_alone(systemd: Systemd, tmp_path: Path) -> None:
    systemd.problem = "unknown directive"
    assert carry_out("test-proxy", helper(tmp_path)) == "broken unknown directive"
    with pytest.raises(StabilityError, match="would not start with its configuration: unknown directive"):
        carry_out("restart-proxy", helper(tmp_path))
    assert not systemd.done


def test_what_is_another_one_s_is_not_restarted(systemd: Systemd, tmp_path: Path) -> None:
    around = helper(tmp_path, pm2_unit="", renewal_unit="", restarts_proxy=False)
    for word in ("restart-proxy", "restart-daemon", "renew-activation"):
        with pytest.raises(StabilityError, match="not this watchdog's to restart"):
            carry_out(word, around)
    assert carry_out("test-proxy", around).startswith("dead ")
    assert not systemd.done


def test_restarts_have_a_limit_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "restarts.json"
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    # one is long ago, and one of another boot
    path.write_text(json.dumps([now - 901, now + 1000]))
    for _restart in range(20):
        count(path)
    with pytest.raises(StabilityError, match="20 restarts within 15 minutes"):
        count(path)
    with pytest.raises(StabilityError, match="can't be written"):
        count(tmp_path / "gone" / "restarts.json")


@pytest.mark.parametrize("sent", [b"restart-proxy\n", b"restart-proxy", b" restart-proxy \nand more"])
def test_one_word_is_read(sent: bytes) -> None:
    ours, theirs = pair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        assert read_word(ours).split("\n")[0].strip() == "restart-proxy"


def test_endless_words_are_cut() -> None:
    ours, theirs = pair()
    with ours, theirs:
        theirs.sendall(b"x" * 10_000)
        assert len(read_word(ours)) <= 64


@pytest.mark.parametrize("word", ["", "restart", "restart-proxy; reboot", "restart-proxy\nreboot", "RESTART-PROXY"])
def test_only_the_fixed_words_are_done(word: str, tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match="is none of test-proxy, restart-proxy, renew-activation, restart-daemon"):
        carry_out(word, helper(tmp_path))


def test_the_program_answers_an_unknown_peer_with_a_refusal() -> None:
    """As systemd starts it: the connection is its standard input."""
    ours, theirs = pair()
    program = (
        "from ansible_collections.workbot.stability.plugins.module_utils._programs.watchdog.root_helper import run;"
        " run(watchdog_unit='shop-watchdog.service', pm2_unit='shop@.service', active='/x/active',"
        " renewal_unit='shop-renewal.service',"
        " proxy_unit='nginx.service',"
        " restarts_proxy='yes', url='http://127.0.0.1/', host_name='', own='/x', shared='/x')"
    )
    with ours, theirs:
        theirs.sendall(b"restart-daemon\n")
        subprocess.run([sys.executable, "-c", program], stdin=ours, check=True, cwd=ROOT, env=dict(os.environ))
        assert theirs.recv(1000).startswith(b"error ")
