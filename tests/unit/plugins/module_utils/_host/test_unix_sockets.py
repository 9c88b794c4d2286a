# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says about sockets; on real ones."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.teardown import drain
from ansible_collections.workbot.stability.plugins.module_utils._host.unix_sockets import (
    UnixSocketError,
    connections,
    holder,
    listening,
    listens,
    parse_peer,
    peer_inode,
)

TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
00000000b9231762: 00000003 00000000 00000000 0001 03 2216955
000000003a70a84f: 00000002 00000000 00010000 0001 01 2282470 run/shop/1a2b.sock
000000003a70a850: 00000003 00000000 00000000 0001 03 2282471 run/shop/1a2b.sock
000000003a70a851: 00000002 00000000 00000000 0001 02     0 /run/shop/1a2b.sock
000000003a70a852: 00000003 00000000 00000000 0001 03 2282473 /run/shop/1a2b+2.sock
000000003a70a853: 00000003 00000000 00000000 0001 03 2282474 /run/shop/other 1a2b.sock
"""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(8)
        yield server


def connected(server: socket.socket) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.getsockname())
    return client


@pytest.mark.parametrize(
    ("path", "count"),
    [("/run/shop/1a2b.sock", 2), ("/run/shop/1a2b+2.sock", 1), ("/run/shop/1a2b", 0), ("/run/shop/other 1a2b.sock", 1)],
)
def test_connections_of_a_path_are_those_accepted_and_those_waiting(tmp_path: Path, path: str, count: int) -> None:
    (tmp_path / "unix").write_text(TABLE)
    assert connections(path, tmp_path / "unix") == count


def test_the_other_end_is_known_once_it_is_accepted(listener: socket.socket) -> None:
    with connected(listener) as client:
        assert peer_inode(client) == 0
        assert holder(client, [os.getpid()], 0) is None
        accepted, _address = listener.accept()
        with accepted:
            assert peer_inode(client) == os.fstat(accepted.fileno()).st_ino
            assert holder(client, [1, os.getpid()], 0) == os.getpid()
            assert holder(client, [], 0) is None


def test_who_listens_on_a_path(tmp_path: Path) -> None:
    table = tmp_path / "unix"
    table.write_text(
        TABLE + "0000000000000000: 00000002 00000000 00010000 0001 01 41 /run/a b.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 42 /run/a b.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 44\n"
    )
    assert listening("/run/a b.sock", table) == [41]
    assert listening("/run/shop/1a2b.sock", table) == [2282470]
    assert listening("/run/none", table) == []


def test_what_the_kernel_refuses_is_an_error() -> None:
    refused = bytes.fromhex("24000000" + "0200" + "0000" + "01000000" + "00000000" + "feffffff" + "00" * 16)
    with pytest.raises(UnixSocketError, match="No such file"):
        parse_peer(refused)


def test_open_connections_are_counted(listener: socket.socket) -> None:
    path = listener.getsockname()
    assert listens(path)
    assert not listens(path + "x")
    assert connections(path) == 0
    with connected(listener), connected(listener):
        assert connections(path) == 2
        accepted, _address = listener.accept()
        with accepted:
            assert connections(path) == 2


def test_draining_ends_with_the_last_connection(listener: socket.socket) -> None:
    client = connected(listener)
    accepted, _address = listener.accept()
    threading.Timer(0.4, lambda: (client.close(), accepted.close())).start()
    began = time.monotonic()
    drained = drain(Path(listener.getsockname()), 10, lambda: None)
    assert (drained["connections"], drained["left"]) == (1, 0)
    assert 0.3 < time.monotonic() - began < 5


def test_draining_gives_up_at_the_limit_and_says_how_many_are_left(listener: socket.socket) -> None:
    with connected(listener):
        assert drain(Path(listener.getsockname()), 0.3, lambda: None)["left"] == 1


def test_what_the_check_raises_ends_the_draining(listener: socket.socket) -> None:
    def check() -> None:
        raise RuntimeError("bad")

    with connected(listener), pytest.raises(RuntimeError):
        drain(Path(listener.getsockname()), 10, check)
