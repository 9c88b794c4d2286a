# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nginx's processes, read and judged."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks import nginx
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING
from ansible_collections.workbot.stability.plugins.module_utils._checks.nginx import (
    NginxReading,
    instead_at,
    is_gone,
    judge_nginx,
    listening_instead,
    read_nginx,
)


@pytest.mark.parametrize(
    ("reading", "hours", "expected"),
    [
        (NginxReading(1, False, 2), 0.0, [OK]),
        (NginxReading(None), 0.0, [CRITICAL]),
        (NginxReading(1, True, 2), 0.0, [CRITICAL]),
        (NginxReading(1, False, 0, (7,)), 0.0, [CRITICAL]),
        (NginxReading(1, False, 2, (7, 8)), 1.0, [OK, OK]),
        (NginxReading(1, False, 2, (7, 8)), 4.0, [OK, WARNING]),
        (NginxReading(1, hidden=True), 0.0, [OK]),
    ],
)
def test_processes_of_nginx_are_judged(reading: NginxReading, hours: float, expected: list[str]) -> None:
    assert [finding.status for finding in judge_nginx(reading, hours)] == expected


@pytest.mark.parametrize("content", ["", "x", "1", "99999999"])
def test_a_pid_file_of_something_else_is_no_nginx(content: str, tmp_path: Path) -> None:
    path = tmp_path / "nginx.pid"
    path.write_text(content)
    assert read_nginx(path) == NginxReading(None)


def test_a_master_that_proc_does_not_show_runs_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the watchdog sees it: what listens on its port may well be Nginx."""
    path = tmp_path / "nginx.pid"
    path.write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(nginx, "PID_FILE", path)
    monkeypatch.setattr(nginx.proc, "stat", lambda _pid: None)
    assert read_nginx(path) == NginxReading(os.getpid(), hidden=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert instead_at(url) == ""
        path.unlink()
        assert "another program" in instead_at(url)


def test_nginx_is_gone_without_a_pid_file_or_with_that_of_a_process_that_ended(tmp_path: Path) -> None:
    path = tmp_path / "nginx.pid"
    assert is_gone(path)
    path.write_text(f"{os.getpid()}\n")
    assert not is_gone(path)
    # one that is another user's, or our own where root runs the tests
    path.write_text("1\n")
    assert not is_gone(path)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    path.write_text(f"{ended.pid}\n")
    assert is_gone(path)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_what_listens_instead_of_nginx_is_told_by_its_user(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        assert [one.local for one in listening_instead("127.0.0.1", port, None)] == [(address, port)]
        assert listening_instead("127.0.0.1", port, os.getuid() + 1) != []
        assert listening_instead("127.0.0.1", port, os.getuid()) == []
        if address == "127.0.0.1":
            assert listening_instead("192.0.2.1", port, None) == []
    assert listening_instead("127.0.0.1", port, None) == []
    assert listening_instead("no.such.host.invalid", port, None) == []


def test_the_program_that_has_the_port_of_nginx_is_told_instead_of_an_advice_that_fails() -> None:
    assert judge_nginx(NginxReading(None), 0.0)[0].message.endswith("systemctl start nginx.")
    assert judge_nginx(NginxReading(None), 0.0, "port 80 is taken.")[0].message == "port 80 is taken."
