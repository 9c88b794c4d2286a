# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root helper: who is answered, which words it knows, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2_client import unit_in
from ansible_collections.workbot.stability.plugins.module_utils._watch_privileged import (
    RefusedError,
    carry_out,
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


def test_the_unit_is_the_innermost_one_of_the_control_group() -> None:
    assert unit_in("0::/system.slice/shop-watchdog.service\n") == "shop-watchdog.service"
    assert unit_in("0::/system.slice/other-shop-watchdog.service\n") != "shop-watchdog.service"
    # a group below the name, made by whoever may write there
    assert unit_in("0::/user.slice/user-1000.slice/shop-watchdog.service.d/x.service/y\n") == "x.service"


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
