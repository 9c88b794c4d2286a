# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import socket

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.tcp import (
    addresses_of,
    established,
    holder,
    inode_of,
    listening,
    parse,
    wait_for_end,
)
from places import FIXTURES

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 10 1 0 100 0 0 10 0
   1: 0B00000A:9C40 1500000A:0050 01 00000000:00000000 00:00000000 00000000    33        0 11 1 0 20 4 30 10 -1
   2: 0B00000A:9C42 1500000A:0050 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:01BB B80D0120000000000000000002000000:D431 01 00000000:00000000
   1: 0000000000000000FFFF00000B00000A:0050 0000000000000000FFFF00001500000A:D432 01 00000000:00000000
"""
# A listener, a connection that nobody has accepted yet, and one that somebody has; the second table has them for IPv6.
ENDS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 7001 1 0000000000000000 100
   1: 0100007F:0BB8 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 100
   2: 0100007F:0BB8 0100007F:C002 01 00000000:00000000 00:00000000 00000000  1000        0 7003 1 0000000000000000 100
"""
ENDS6 = """\
  sl  local_address                         remote_address                        st tx_queue ...
   0: 0000000000000000FFFF00000100007F:0BB8 0000000000000000FFFF00000100007F:C002 01 0:0 0:0 0  1000 0 7004 1
   1: 00000000000000000000000001000000:0BB8 00000000000000000000000001000000:C002 01 0:0 0:0 0  1000 0 7005 1
"""


def test_the_other_ends_of_what_is_established() -> None:
    def remote_ends(table: str) -> list[tuple[str, int]]:
        return [found.remote for found in parse(table) if found.established]

    assert remote_ends(TABLE) == [("10.0.0.21", 80)]
    assert remote_ends(TABLE6) == [("2001:db8::2", 54321), ("10.0.0.21", 54322)]


def test_a_real_connection_is_seen_and_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()
        assert there not in established()
        with socket.create_connection(there), server.accept()[0]:
            assert there in established()
            ended = wait_for_end({there}, 0.6)
            assert (ended["connections"], ended["left"]) == (1, 1)
            assert ended["seconds"] >= 0.6
        assert wait_for_end({there}, 5)["left"] == 0


def test_the_wait_ends_with_the_last_connection() -> None:
    server = ("10.0.0.21", 80)
    readings = iter([[server, server, ("10.0.0.21", 443)], [server], [("10.0.0.22", 80)]])
    ended = wait_for_end({server}, 60, lambda: next(readings))
    assert (ended["connections"], ended["left"]) == (2, 0)


def test_a_name_has_addresses() -> None:
    assert "127.0.0.1" in addresses_of("localhost") | addresses_of("127.0.0.1")


@pytest.mark.parametrize("name", ["proc_net_tcp.txt", "proc_net_tcp6.txt"])
def test_listening_sockets_are_told_from_connections(name: str) -> None:
    rows = list(parse((FIXTURES / "nginx" / name).read_text()))
    assert len([row for row in rows if row.listens and row.local[1] == 80]) == 1
    assert all(row.remote[1] == 0 for row in rows if row.listens)
    assert not any(row.listens and row.established for row in rows)


def test_who_listens_is_found_by_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (found,) = listening(server.getsockname()[1])
        assert (found.inode, found.user) == (os.fstat(server.fileno()).st_ino, os.geteuid())
        with socket.create_connection(server.getsockname()) as client:
            assert listening(client.getsockname()[1]) == []


def test_the_inode_of_a_connection_is_found_from_its_other_end() -> None:
    server = ("127.0.0.1", 3000)

    def inode(table: str, local: tuple[str, int], port: int) -> int:
        return inode_of(parse(table, local[1], port), local, (local[0], port))

    assert inode(ENDS, server, 0xC001) == 0
    assert inode(ENDS, server, 0xC002) == 7003
    assert inode(ENDS, server, 0xC003) == 0
    assert inode(ENDS6, server, 0xC002) == 7004
    assert inode(ENDS6, ("::1", 3000), 0xC002) == 7005


def test_a_connection_has_no_holder_before_it_is_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as connection:
        assert holder(connection, [os.getpid()], 0) is None
        with server.accept()[0]:
            assert holder(connection, [os.getppid(), os.getpid()], 1) == os.getpid()
