# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a daemon publishes of its workers' logs; the daemon is a socket."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._pm2 import bus
from ansible_collections.workbot.stability.plugins.module_utils._pm2.bus import Bus, first_error
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from axon import frame


def message(event: str, content: Any) -> bytes:
    return frame(f"s:{event}".encode(), b"j:" + json.dumps(content).encode())


def heard(home: Path, *said: bytes) -> list[str]:
    """The last lines that are heard of a daemon that begins a while later."""
    return hear(home, *said).lines()


def hear(home: Path, *said: bytes) -> Bus:
    client = Bus(Pm2Client(home, "pm2", "node", None, 5))
    with client.heard(), socket.socket(socket.AF_UNIX) as daemon:
        time.sleep(0.1)
        daemon.bind(str(home / "pub.sock"))
        daemon.listen()
        daemon.settimeout(5)
        connection, _peer = daemon.accept()
        with connection:
            # it may have heard enough
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(b"".join(said))
            client.lines()
            return client


def test_the_errors_are_told_apart_from_all_else(tmp_path: Path) -> None:
    process = {"process": {"pm_id": 0}}
    said = [
        message("process:event", {"event": "online"}),
        message("log:out", {"data": "listening\n"} | process),
        message("log:err", {"data": "\nError: no\n  at once\n"} | process),
        message("log:err", {"data": 3}),
        message("log:err", "nothing"),
        message("log:err", {"data": "".join(f"{number}\n" for number in range(18))}),
    ]
    assert heard(tmp_path, *said) == ["Error: no", "  at once", *map(str, range(18))]


def test_of_workers_without_errors_it_is_the_output(tmp_path: Path) -> None:
    assert heard(tmp_path, message("log:out", {"data": "a\nb"}), message("log:out", {"data": "c\n"})) == ["a", "bc"]


def test_how_workers_end_and_what_they_throw(tmp_path: Path) -> None:
    said = [
        message("log:PM2", {"data": "App [shop-1:0] exited with code [1] via signal [SIGINT]\n"}),
        message("log:PM2", {"data": "App [shop-1:3] exited with code [0] via signal [SIGSEGV]\n"}),
        message("log:PM2", {"data": "App [shop-1:x] exited"}),
        message("process:exception", {"process": {"pm_id": 2}, "data": {"message": "no"}}),
        message("process:exception", {"process": "none"}),
        message("process:exception", {"process": {"pm_id": float("inf")}}),
    ]
    bus = hear(tmp_path, *said)
    assert bus.ends == {0: "exit status 1", 3: "signal SIGSEGV"}
    assert bus.thrown == {2}


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("", ""),
        ("no configuration\nError in 3 s\n", "no configuration"),
        ("/srv/a.js:3\n  x(;\n\nSyntaxError: Unexpected token ';'\n    at a\n", "SyntaxError: Unexpected token ';'"),
        ("2026-11-25 03:39:28: RangeError [ERR_X]: no\n    at a", "RangeError [ERR_X]: no"),
        ("You have triggered an unhandledRejection, you may have ...:\nno plan", "no plan"),
        (f"Error: {'x' * 500}", f"Error: {'x' * 293}"),
    ],
)
def test_the_first_error_of_a_log(log: str, error: str) -> None:
    assert first_error(log.splitlines()) == error


@pytest.mark.parametrize("nonsense", [b"\x12\xff\xff\xff\xff", b"no protocol", b"\x12\0\0\0\x09s:log:err"])
def test_nonsense_ends_nothing_and_takes_no_room(tmp_path: Path, nonsense: bytes) -> None:
    assert heard(tmp_path, message("log:err", {"data": "so far"}), nonsense) == ["so far"]


def test_only_so_much_is_heard_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "_MOST_BYTES", 200_000)
    said = [message("log:err", {"data": f"{number:05} {'x' * 10_000}\n"}) for number in range(100)]
    lines = heard(tmp_path, *said)
    assert lines[-1].startswith("00019 ")
    assert sum(map(len, lines)) < 16_384


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Root would connect to whatever the service names."""
    home, foreign = tmp_path / "home", tmp_path / "foreign"
    home.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(foreign))
        other.listen()
        other.settimeout(0.3)
        (home / "pub.sock").symlink_to(foreign)
        with Bus(Pm2Client(home, "pm2", "node", None, 5)).heard(), pytest.raises(TimeoutError):
            other.accept()
