# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._host.tcp_connections import (
    Ended,
    addresses_of,
    established,
    remote_ends,
    wait_for_end,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.debian import announced

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


def test_the_other_ends_of_what_is_established() -> None:
    assert remote_ends(TABLE) == [("10.0.0.21", 80)]
    assert remote_ends(TABLE6) == [("2001:db8::2", 54321), ("10.0.0.21", 54322)]


def test_a_real_connection_is_seen_and_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()
        assert there not in established()
        with socket.create_connection(there), server.accept()[0]:
            assert there in established()
            ended = wait_for_end({there}, 0.6)
            assert (ended.first, ended.left) == (1, 1)
            assert ended.seconds >= 0.6
        assert wait_for_end({there}, 5).left == 0


def test_the_wait_ends_with_the_last_connection() -> None:
    server = ("10.0.0.21", 80)
    readings = iter([[server, server, ("10.0.0.21", 443)], [server], [("10.0.0.22", 80)]])
    ended = wait_for_end({server}, 60, lambda: next(readings))
    assert ended == Ended(2, 0, ended.seconds)


def test_a_name_has_addresses() -> None:
    assert "127.0.0.1" in addresses_of("localhost") | addresses_of("127.0.0.1")


def test_a_reload_is_announced_and_the_announcement_ends_with_it(tmp_path: Path) -> None:
    closing = tmp_path / "closing"
    with announced(closing, 0.01):
        assert closing.exists()
    assert not closing.exists()
    with announced(closing, 0):
        assert not closing.exists()
