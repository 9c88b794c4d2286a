# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says about sockets; on real ones."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.teardown import drain
from ansible_collections.workbot.stability.plugins.module_utils._host.unix_sockets import connections, listening

TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
00000000b9231762: 00000003 00000000 00000000 0001 03 2216955
000000003a70a84f: 00000002 00000000 00010000 0001 01 2282470 run/shop/1a2b.sock
000000003a70a850: 00000003 00000000 00000000 0001 03 2282471 run/shop/1a2b.sock
000000003a70a851: 00000002 00000000 00000000 0001 02     0 /run/shop/1a2b.sock
000000003a70a852: 00000003 00000000 00000000 0001 03 2282473 /run/shop/1a2b:2.sock
000000003a70a853: 00000003 00000000 00000000 0001 03 2282474 /run/shop/other 1a2b.sock
"""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(8)
        yield server


def bound_at(path: str) -> Callable[[Path], bool]:
    return Path(path).__eq__


def connected(server: socket.socket) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.getsockname())
    return client


@pytest.mark.parametrize(
    ("path", "count"),
    [("/run/shop/1a2b.sock", 2), ("/run/shop/1a2b:2.sock", 1), ("/run/shop/1a2b", 0), ("/run/shop/other 1a2b.sock", 1)],
)
def test_connections_of_a_path_are_those_accepted_and_those_waiting(tmp_path: Path, path: str, count: int) -> None:
    (tmp_path / "unix").write_text(TABLE)
    assert connections(bound_at(path), tmp_path / "unix") == count


@pytest.mark.parametrize("forged", ["x 0 0 zz 1 3 0 /run/shop/1a2b.sock", "0: \x85 x 03 / /run/shop/1a2b.sock"])
def test_a_name_with_line_breaks_breaks_nothing(forged: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{time.monotonic()}\n{forged}\n")
        assert connections(bound_at("/run/shop/1a2b.sock")) == 0


def test_connections_of_several_paths_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "unix").write_text(TABLE)
    assert connections(lambda path: path.parent == Path("/run/shop"), tmp_path / "unix") == 4
    assert connections(lambda path: path.name.startswith("1a2b"), tmp_path / "unix") == 3


def test_who_listens_on_a_path(tmp_path: Path) -> None:
    table = tmp_path / "unix"
    table.write_text(
        TABLE + "0000000000000000: 00000002 00000000 00010000 0001 01 41 /run/a b.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 42 /run/a b.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 44\n"
    )
    assert listening(bound_at("/run/a b.sock"), table) == [41]
    assert listening(bound_at("/run/shop/1a2b.sock"), table) == [2282470]
    assert listening(bound_at("/run/none"), table) == []


def test_open_connections_are_counted(listener: socket.socket) -> None:
    own = bound_at(listener.getsockname())
    assert len(listening(own)) == 1
    assert listening(bound_at(listener.getsockname() + "x")) == []
    assert connections(own) == 0
    with connected(listener), connected(listener):
        assert connections(own) == 2
        accepted, _address = listener.accept()
        with accepted:
            assert connections(own) == 2


def test_one_that_was_renamed_is_known_by_the_path_that_was_bound(listener: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "s").rename(tmp_path / "renamed")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "renamed"))
        assert [connections(bound_at(str(tmp_path / name))) for name in ("s", "renamed")] == [1, 0]
    assert len(listening(bound_at(listener.getsockname()))) == 1


def counter(server: socket.socket) -> Callable[[], int]:
    return partial(connections, bound_at(server.getsockname()))


def test_draining_ends_with_the_last_connection(listener: socket.socket) -> None:
    client = connected(listener)
    accepted, _address = listener.accept()
    threading.Timer(0.4, lambda: (client.close(), accepted.close())).start()
    began = time.monotonic()
    drained = drain(counter(listener), 10)
    assert (drained["connections"], drained["left"]) == (1, 0)
    assert 0.3 < time.monotonic() - began < 5


def test_draining_gives_up_at_the_limit_and_says_how_many_are_left(listener: socket.socket) -> None:
    with connected(listener):
        assert drain(counter(listener), 0.3)["left"] == 1


def test_what_the_check_raises_ends_the_draining(listener: socket.socket) -> None:
    def check() -> None:
        raise RuntimeError("bad")

    with connected(listener), pytest.raises(RuntimeError):
        drain(counter(listener), 10, check)
