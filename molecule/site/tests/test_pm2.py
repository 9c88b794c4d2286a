# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PM2 runs on the host, as whom, and that a killed daemon comes back by itself."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

UNIT = "pm2-workbot.service"
HOME = "/srv/workbot/home/.pm2"
SOCKET = "/srv/workbot/active.sock"
# root in a container may not look into another user's process; the user itself may
AS_SERVICE = "setpriv --reuid workbot --regid workbot --clear-groups"


def processes(host: Any) -> list[dict[str, Any]]:
    command = (
        f"{AS_SERVICE} env -i HOME=/srv/workbot/home"
        f" PM2_HOME={HOME} PATH=/opt/workbot/bin:/usr/bin:/bin /opt/workbot/bin/pm2 jlist"
    )
    found: list[dict[str, Any]] = json.loads(host.check_output(command).splitlines()[-1])
    return found


def health(host: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        host.check_output(
            "python3 -c \"import http.client,socket; c=http.client.HTTPConnection('localhost', timeout=5);"
            f" c.sock=socket.socket(socket.AF_UNIX); c.sock.connect('{SOCKET}'); c.request('GET','/api/health');"
            ' print(c.getresponse().read().decode())"'
        )
    )
    return answer


def test_the_boot_unit_is_enabled_and_running(host: Any) -> None:
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running


def test_real_cluster_workers_run_as_the_service_user(host: Any) -> None:
    found = processes(host)
    active = host.check_output(f"readlink {SOCKET}").rsplit("/", 1)[-1].removesuffix(".sock")
    assert {item["name"] for item in found} == {f"workbot-{active}"}
    for item in found:
        assert item["pm2_env"]["status"] == "online"
        assert item["pm2_env"]["exec_mode"] == "cluster_mode"
        assert host.check_output(f"stat -c %U /proc/{item['pid']}") == "workbot"
        # a worker itself answers, not a starter in front of it: its parent is the daemon
        parent = host.check_output(f"awk '/^PPid/ {{print $2}}' /proc/{item['pid']}/status")
        assert parent == host.check_output(f"cat {HOME}/pm2.pid")


def test_every_worker_answers(host: Any) -> None:
    pids = {item["pid"] for item in processes(host)}
    answered = {health(host).get("pid") for _question in range(4 * len(pids))}
    # a service whose health answer names no process only has to answer
    assert answered in ({None}, pids)


def test_memory_limits_of_the_plan_reach_the_processes(host: Any) -> None:
    for item in processes(host):
        heap = [arg for arg in item["pm2_env"]["node_args"] if arg.startswith("--max-old-space-size=")]
        assert len(heap) == 1
        limit = int(heap[0].split("=")[1]) * 1024**2
        assert item["pm2_env"]["max_memory_restart"] > limit


@pytest.mark.parametrize("path", [f"{HOME}/dump.pm2", "/srv/workbot/config/ecosystem.config.cjs"])
def test_what_pm2_keeps_is_closed_to_others_and_holds_no_secret(host: Any, path: str) -> None:
    kept = host.file(path)
    assert kept.mode & 0o007 == 0
    assert "JWT_SECRET" not in kept.content_string
    assert "DATABASE_URL" not in kept.content_string


def test_no_process_shows_a_secret(host: Any) -> None:
    for item in processes(host):
        assert "JWT_SECRET" not in json.dumps(item)
        environment = host.check_output(f"{AS_SERVICE} cat /proc/{item['pid']}/environ | tr '\\0' '\\n'")
        assert "PM2_HOME=" in environment
        assert "JWT_SECRET" not in environment


def test_only_the_service_and_the_proxy_may_use_the_socket(host: Any) -> None:
    socket = host.file(host.check_output(f"readlink {SOCKET}"))
    assert socket.user == "workbot"
    assert socket.group == "www-data"
    assert socket.mode & 0o007 == 0


def test_a_killed_daemon_comes_back_with_everything(host: Any) -> None:
    before = {item["name"]: item for item in processes(host)}
    # the saved list is spoilt on purpose: what runs does not depend on it
    host.check_output(f"truncate -s 10 {HOME}/dump.pm2")
    host.check_output(f"kill -KILL $(cat {HOME}/pm2.pid)")
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        time.sleep(1)
        if host.run(f"systemctl is-active {UNIT}").stdout.strip() == "active" and host.file(f"{HOME}/rpc.sock").exists:
            after = processes(host)
            if after and all(item["pm2_env"]["status"] == "online" for item in after):
                break
    else:
        pytest.fail("the processes did not come back within 150 s")
    assert {item["name"] for item in after} == set(before)
    assert health(host)["status"] in ("ok", "warning")
