# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as Ansible calls them: arguments in, JSON out."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.workbot.stability.plugins.modules import diagnosis, health_check, memory_check, secret_check


class Health(http.server.BaseHTTPRequestHandler):
    """Answers what `bodies` holds, the last one for ever."""

    bodies: list[dict[str, Any]]

    def do_GET(self) -> None:
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        server.shutdown()


def run(module: ModuleType, capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args({**arguments, "_ansible_check_mode": True}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_health_ok(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Health.bodies = [{"status": "ok", "database": {"status": "ok"}}]
    result = run(health_check, capsys, url=url, expected_json={"database.status": "ok"})
    assert (result["status"], result["changed"], result["readings"]["status_code"]) == ("ok", False, 200)
    assert set(result["findings"][0]) == {"check", "status", "value", "threshold", "unit", "message"}


def test_health_is_asked_again_until_it_is_well(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    Health.bodies = [{"status": "error"}, {"status": "error"}, {"status": "ok"}]
    result = run(health_check, capsys, url=url, retries=5, delay=0)
    assert (result["status"], result["readings"]["attempts"]) == ("ok", 3)


@pytest.mark.parametrize(
    ("fail_on", "word", "failed"),
    [
        ("critical", "warning", False),
        ("warning", "warning", True),
        ("critical", "error", True),
        ("never", "error", False),
    ],
)
def test_fail_on(url: str, capsys: pytest.CaptureFixture[str], fail_on: str, word: str, failed: bool) -> None:
    Health.bodies = [{"status": word}]
    result = run(health_check, capsys, url=url, fail_on=fail_on)
    assert result.get("failed", False) is failed
    assert result["status"] == ("critical" if word == "error" else "warning")


@pytest.mark.parametrize(
    "arguments", [{"url": "nothing"}, {"url": "http://x/", "retries": -1}, {"url": "http://x/", "timeout": 0}]
)
def test_wrong_arguments_of_health(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    result = run(health_check, capsys, fail_on="never", **arguments)
    assert result["failed"]
    assert "status" not in result


def test_memory_by_pid_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pid_file = tmp_path / "app.pid"
    pid_file.write_text(str(os.getpid()))
    Health.bodies = [{"pid": os.getpid(), "memory": {"heapUsed": 96, "heapTotal": 100, "heapLimit": 100}}]
    result = run(memory_check, capsys, pid_file=str(pid_file), url=url, host_warning=98, host_critical=99)
    assert (result["failed"], result["status"]) == (True, "critical")
    heap = next(finding for finding in result["findings"] if finding["check"] == f"memory.heap.{os.getpid()}")
    assert (heap["value"], heap["threshold"], heap["unit"]) == (96.0, 95.0, "%")
    assert result["readings"]["processes"][0]["pid"] == os.getpid()


def test_memory_of_a_service_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(memory_check, capsys, pid_file=str(tmp_path / "gone.pid"), fail_on="never")
    assert (result["status"], result.get("failed", False)) == ("critical", False)
    assert "is the service started" in result["findings"][0]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "choose the processes"),
        ({"pm2_prefix": "app-"}, "need pm2_home"),
        ({"pid_file": "/x", "systemd_unit": "y"}, "mutually exclusive"),
        ({"pid_file": "/x", "heap_warning": 95}, "below the critical"),
        ({"pid_file": "/x", "unix_socket": "/y"}, "needs url"),
    ],
)
def test_wrong_arguments_of_memory(arguments: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(memory_check, capsys, fail_on="never", **arguments)
    assert result["failed"]
    assert message in result["msg"]


SECRET = "Zq8wX1vN4bM7cL0kJ3hG6fD9sA2pO5iU"


def test_secrets_of_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, pid_file = tmp_path / "environment", tmp_path / "app.pid"
    file.write_text(f"TOKEN={SECRET}\n")
    file.chmod(0o600)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"TOKEN": SECRET}) as process:
        pid_file.write_text(str(process.pid))
        result = run(secret_check, capsys, names=["TOKEN"], pid_file=str(pid_file), env_file=str(file))
        process.communicate(b"\n")
    assert (result["status"], result["changed"]) == ("ok", False)
    assert result["readings"][0]["lengths"] == {"TOKEN": 32}
    assert SECRET not in json.dumps(result)


def test_a_secret_that_two_services_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "environment").write_text(f"TOKEN={SECRET}\n")
        (tmp_path / name / "environment").chmod(0o600)
    own, others = f"{tmp_path}/one/environment", [f"{tmp_path}/*/environment"]
    result = run(secret_check, capsys, names=["TOKEN"], env_file=own, other_env_files=others, fail_on="warning")
    assert result["failed"]
    assert f"TOKEN of {tmp_path}/two/environment" in result["msg"]
    assert SECRET not in json.dumps(result)


def test_wrong_arguments_of_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(secret_check, capsys, names=["TOKEN"])
    assert "choose the processes" in result["msg"]
    assert "env_file is needed" in result["msg"]


def test_a_host_without_a_diagnosis_is_critical_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(diagnosis, capsys, service="no-such-service")
    assert (result["status"], result.get("failed", False)) == ("critical", False)
    assert "/usr/local/bin/no-such-service-diagnose is not there" in result["problem"]
