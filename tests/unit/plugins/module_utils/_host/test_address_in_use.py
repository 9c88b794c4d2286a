# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.address_in_use import explain
from hypothesis import given
from hypothesis import strategies as st

ME = f"held by process {os.getpid()} of the user {pwd.getpwuid(os.getuid()).pw_name} ("


@pytest.mark.parametrize("line", ["Error: listen EADDRINUSE: address already in use :::{}", "bind EADDRINUSE null:{}"])
def test_the_holder_of_a_port(line: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (said,) = explain(["booting", line.format(port), line.format(port)])
        assert said.startswith(f"Port {port} is {ME}")
    assert explain([line.format(port)]) == [f"Nothing listens on port {port} any more."]


def test_the_holder_of_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    line = f"Error: listen EADDRINUSE: address already in use {path}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        (said,) = explain([line])
        assert said.startswith(f"{path} is {ME}")
    assert explain([line]) == [f"No process listens on {path}: it is a left-over of one that was killed, remove it."]


def test_other_lines_and_addresses() -> None:
    assert explain(["all is well"]) == []
    assert explain(["EADDRINUSE pipe-7"]) == ["pipe-7 is held by another program."]


@given(st.text())
def test_any_log_line_can_be_read(line: str) -> None:
    assert isinstance(explain([line, f"EADDRINUSE: address already in use {line}"]), list)
