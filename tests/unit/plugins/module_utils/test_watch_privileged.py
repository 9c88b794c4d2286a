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

import pytest
from ansible_collections.workbot.stability.plugins.module_utils import _watch_privileged
from ansible_collections.workbot.stability.plugins.module_utils._watch_privileged import (
    RefusedError,
    carry_out,
    count,
    is_in_unit,
    read_word,
    require_peer,
)

ROOT = Path(__file__).parents[4]


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def test_a_process_of_another_unit_is_refused() -> None:
    ours, theirs = pair()
    with ours, theirs, pytest.raises(RefusedError, match=r"only shop-watchdog\.service is answered"):
        require_peer(ours, "shop-watchdog.service")


OWN = "0::/system.slice/system-shop\\x2dwatchdog\\x2dact.slice/shop-watchdog-act@3.service\n"
# cgroups of both kinds, in a container
MIXED = "3:pids:/box\n2:name=systemd:/box/system.slice/{}\n0::/box\n"


@pytest.mark.parametrize(
    ("own", "other", "answered"),
    [
        (OWN, "0::/system.slice/shop-watchdog.service\n", True),
        (OWN, "0::/system.slice/other-shop-watchdog.service\n", False),
        (OWN, "0::/system.slice/pm2-shop.service\n", False),
        # a unit that any user may give this name, and a group below one that is delegated
        (OWN, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop-watchdog.service\n", False),
        (OWN, "0::/user.slice/user-1000.slice/user@1000.service/system.slice/shop-watchdog.service\n", False),
        (OWN, "0::/system.slice/other.service/shop-watchdog.service\n", False),
        (MIXED.format("x.slice/shop-watchdog-act@3.service"), MIXED.format("shop-watchdog.service"), True),
        (MIXED.format("x.slice/shop-watchdog-act@3.service"), "0::/box/system.slice/shop-watchdog.service\n", False),
        ("0::/system.slice/box.service/system.slice/a@1.service", "0::/system.slice/shop-watchdog.service", False),
        (
            "0::/system.slice/box.service/system.slice/a@1.service",
            "0::/system.slice/box.service/system.slice/shop-watchdog.service",
            True,
        ),
        ("0::/\n", "0::/\n", False),
        ("", "", False),
    ],
)
def test_only_the_system_s_own_unit_of_the_name_is_answered(own: str, other: str, answered: bool) -> None:
    assert is_in_unit("shop-watchdog.service", own, other) is answered


@pytest.mark.parametrize(
    ("active", "result", "refused"),
    [("inactive", "success", True), ("failed", "signal", False), ("active", "success", False)],
)
def test_what_somebody_stopped_is_not_started(
    active: str, result: str, refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[list[str]] = []

    def command(argv: list[str]) -> subprocess.CompletedProcess[str]:
        done.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    states = {"pm2-shop.service": {"LoadState": "loaded", "ActiveState": active, "Result": result}}
    monkeypatch.setattr(_watch_privileged, "unit_states", lambda _units: states)
    monkeypatch.setattr(_watch_privileged, "_command", command)
    with pytest.raises(RefusedError, match="was stopped by somebody") if refused else contextlib.nullcontext():
        carry_out("restart-daemon", "pm2-shop.service", "nginx.service")
    assert bool(done) is not refused


def test_restarts_have_a_limit_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "restarts.json"
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    # one is long ago, and one of another boot
    path.write_text(json.dumps([now - 901, now + 1000]))
    for _restart in range(20):
        count(path)
    with pytest.raises(RefusedError, match="20 restarts within 15 minutes"):
        count(path)
    with pytest.raises(RefusedError, match="can't be written"):
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
def test_only_the_fixed_words_are_done(word: str) -> None:
    with pytest.raises(RefusedError, match="is none of test-proxy, restart-proxy, restart-daemon"):
        carry_out(word, "pm2-shop.service", "nginx.service")


def test_the_program_answers_an_unknown_peer_with_a_refusal() -> None:
    """As systemd starts it: the connection is its standard input."""
    ours, theirs = pair()
    program = (
        "from ansible_collections.workbot.stability.plugins.module_utils._watch_privileged import run;"
        " run('shop-watchdog.service', 'pm2-shop.service', 'nginx.service')"
    )
    with ours, theirs:
        theirs.sendall(b"restart-daemon\n")
        subprocess.run([sys.executable, "-c", program], stdin=ours, check=True, cwd=ROOT, env=dict(os.environ))
        assert theirs.recv(1000) == b"error only shop-watchdog.service is answered\n"
