# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PM2 runs on the host, as whom, and that a killed daemon comes back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

UNIT = "workbot.service"
ACTIVE = "/srv/workbot/active"
HOME = f"{ACTIVE}/pm2"
# root in a container may not look into another user's process; the user itself may
AS_SERVICE = "setpriv --reuid workbot --regid workbot --clear-groups"


Processes = Callable[[], list[dict[str, Any]]]


def outline(processes: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What must be the same after a restart of everything: one entry for each worker."""
    return sorted((item["name"], item["pm2_env"]["pm_exec_path"], item["pm2_env"]["status"]) for item in processes)


def health(host: Any, worker: int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        host.check_output(
            "python3 -c \"import http.client,socket; c=http.client.HTTPConnection('localhost', timeout=5);"
            f" c.sock=socket.socket(socket.AF_UNIX); c.sock.connect('{ACTIVE}/{worker}.sock');"
            " c.request('GET','/api/health'); print(c.getresponse().read().decode())\""
        )
    )
    return answer


def test_the_boot_unit_is_enabled_and_running(host: Any) -> None:
    service = host.service(UNIT)
    assert service.is_enabled
    assert service.is_running


def test_real_cluster_workers_run_as_the_service_user(host: Any, pm2_processes: Processes) -> None:
    found = pm2_processes()
    active = host.check_output(f"basename $(readlink {ACTIVE})")
    assert {item["name"] for item in found} == {f"workbot-{active}"}
    for item in found:
        assert item["pm2_env"]["status"] == "online"
        assert item["pm2_env"]["exec_mode"] == "cluster_mode"
        assert host.check_output(f"stat -c %U /proc/{item['pid']}") == "workbot"
        # a worker itself answers, not a starter in front of it: its parent is the daemon
        parent = host.check_output(f"awk '/^PPid/ {{print $2}}' /proc/{item['pid']}/status")
        assert parent == host.check_output(f"cat {HOME}/pm2.pid")


def test_every_worker_answers(host: Any, pm2_processes: Processes) -> None:
    pids = {item["pid"] for item in pm2_processes()}
    assert {health(host, worker)["pid"] for worker in range(len(pids))} == pids


def test_memory_limits_of_the_plan_reach_the_processes(pm2_processes: Processes) -> None:
    for item in pm2_processes():
        heap = [arg for arg in item["pm2_env"]["node_args"] if arg.startswith("--max-old-space-size=")]
        assert len(heap) == 1
        limit = int(heap[0].split("=")[1]) * 1024**2
        assert item["pm2_env"]["max_memory_restart"] > limit


def test_the_links_agree_with_what_runs(host: Any, pm2_processes: Processes) -> None:
    name, found = host.check_output(f"basename $(readlink {ACTIVE})"), pm2_processes()
    assert host.check_output("readlink /srv/workbot/current").endswith(f"/releases/{name.partition('@')[0]}")
    sockets = [f"{name}@{number}.sock" for number in range(len(found))]
    assert {item["pm2_env"]["env"]["PORT"] for item in found} == {f"/run/workbot/{sockets[0]}"}
    for number, socket in enumerate(sockets):
        assert host.check_output(f"readlink {ACTIVE}/{number}.sock") == f"/run/workbot/{socket}"
    # nothing of another activation is left
    assert sorted(host.file("/run/workbot").listdir()) == sockets
    assert host.file("/srv/workbot/activations").listdir() == [name]


def test_the_processes_have_their_own_copy_of_the_environment_file(host: Any, pm2_processes: Processes) -> None:
    (item, *_others) = pm2_processes()
    copy = next(arg for arg in item["pm2_env"]["node_args"] if arg.startswith("--env-file="))
    file = host.file(copy.removeprefix("--env-file="))
    assert file.content == host.file("/srv/workbot/config/environment").content
    assert (file.user, file.mode) == ("workbot", 0o600)


def test_what_pm2_starts_is_closed_to_others_and_holds_no_secret(host: Any) -> None:
    kept = host.file(f"{ACTIVE}/ecosystem.config.cjs")
    assert kept.mode & 0o007 == 0
    assert "JWT_SECRET" not in kept.content_string
    assert "DATABASE_URL" not in kept.content_string


def test_no_process_shows_a_secret(host: Any, pm2_processes: Processes) -> None:
    for item in pm2_processes():
        assert "JWT_SECRET" not in json.dumps(item)
        environment = host.check_output(f"{AS_SERVICE} cat /proc/{item['pid']}/environ | tr '\\0' '\\n'")
        assert "PM2_HOME=" in environment
        assert "JWT_SECRET" not in environment


def test_only_the_service_and_the_proxy_may_use_the_socket(host: Any) -> None:
    socket = host.file(host.check_output(f"readlink {ACTIVE}/0.sock"))
    assert socket.user == "workbot"
    assert socket.group == "www-data"
    assert socket.mode & 0o007 == 0


def restarted(host: Any, killed: str, pm2_processes: Processes) -> list[dict[str, Any]]:
    """What runs under a daemon other than the killed one once the unit is active again, or nothing yet."""
    daemon = host.run(f"cat {HOME}/pm2.pid").stdout.strip()
    if daemon in ("", killed) or host.run("systemctl is-active 'workbot@*'").stdout.strip() != "active":
        return []
    return pm2_processes()


def test_a_killed_daemon_comes_back_with_everything(host: Any, pm2_processes: Processes) -> None:
    before, active, daemon = pm2_processes(), host.check_output(f"readlink {ACTIVE}"), host.file(f"{HOME}/pm2.pid")
    killed = daemon.content_string.strip()
    host.check_output(f"kill -KILL {killed}")
    deadline = time.monotonic() + 150
    while outline(after := restarted(host, killed, pm2_processes)) != outline(before):
        assert time.monotonic() < deadline, f"after 150 s: {outline(after)}, before the kill: {outline(before)}"
        time.sleep(1)
    assert not {item["pid"] for item in before} & {item["pid"] for item in after}
    assert host.check_output(f"readlink {ACTIVE}") == active
    assert health(host, 0)["status"] in ("ok", "warning")
