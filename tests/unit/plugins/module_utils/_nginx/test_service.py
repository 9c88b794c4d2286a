# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a port, and what a master writes when it fails."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nginx.service import (
    ErrorLog,
    Service,
    check_ports,
    main_error_log,
    worker_connections,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout


def test_a_port_taken_by_another_program_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StabilityError, match=rf"Port {port} is taken by \S*(python|pytest)"):
            check_ports([port])
    check_ports([port])


def test_a_client_is_connected_to_a_port_that_the_master_listens_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(Layout(config=tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(service, "master", os.getpid)
        assert not service.is_connected()
        with socket.create_connection(server.getsockname()):
            assert service.is_connected()
            # whoever listens there: it is not the master
            monkeypatch.setattr(service, "master", lambda: 1)
            assert not service.is_connected()
            monkeypatch.setattr(service, "master", lambda: None)
            assert not service.is_connected()


@pytest.mark.parametrize(
    ("master", "lines"),
    [(None, ["1#1: still could not bind()", "7#7: *3 a client's"]), (1, ["1#1: still could not bind()"])],
)
def test_only_new_failures_are_reported_and_of_a_master_its_own(
    tmp_path: Path, master: int | None, lines: list[str]
) -> None:
    path, time = tmp_path / "error.log", "2026/11/25 00:00:01"
    path.write_text(f"{time} [emerg] 1#1: old\n")
    log = ErrorLog(path, master)
    with path.open("a") as file:
        file.write(f"{time} [notice] 1#1: signal\n{time} [emerg] 1#1: still could not bind()\n")
        file.write(f"{time} [emerg] 7#7: *3 a client's\n")
    assert log.fatal() == [f"{time} [emerg] {line}" for line in lines]


def test_a_log_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert ErrorLog(tmp_path / "error.log", None).fatal() == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("error_log /srv/log/e.log warn;\n", "/srv/log/e.log"),
        ("# error_log /srv/e.log;\nerror_log  /a.log;", "/a.log"),
        ("events {}\n", "/var/log/nginx/error.log"),
    ],
)
def test_the_main_error_log(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "nginx.conf").write_text(text)
    assert main_error_log(Layout(config=tmp_path)).path == Path(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("events {\n\tworker_connections 768;\n\t# multi_accept on;\n}\n", 768),
        ("events { worker_connections  4096 ; }\n", 4096),
        ("events {\n\t# worker_connections 768;\n}\n", 0),
        ("", 0),
    ],
)
def test_the_connections_of_a_worker_are_read(tmp_path: Path, text: str, found: int) -> None:
    (tmp_path / "nginx.conf").write_text(text)
    assert worker_connections(Layout(config=tmp_path)) == found


def test_a_host_without_nginx_has_none(tmp_path: Path) -> None:
    assert worker_connections(Layout(config=tmp_path)) == 0
