# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks import fleet, nginx
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING, Finding
from ansible_collections.workbot.stability.plugins.module_utils._checks.fleet import (
    Upstream,
    check_file_repository,
    check_proxy,
    judge_database,
    judge_repository,
    judge_rotation,
    judge_upstreams,
    read_drained,
)

UPSTREAMS = [Upstream(name, f"10.0.0.{number}", 80, "/health") for number, name in enumerate(("one", "two", "three"))]


def ask(*bad: str) -> object:
    urls = {one.url for one in UPSTREAMS if one.name in bad}

    def answer(url: str) -> list[Finding]:
        return [Finding("http", CRITICAL if url in urls else OK, "no answer" if url in urls else "answered")]

    return answer


@pytest.mark.parametrize(
    ("drained", "bad", "expected"),
    [
        ((), (), [(OK, "all 3 app hosts in rotation answer")]),
        ((), ("two",), [(WARNING, "two: no answer")]),
        ((), ("one", "two", "three"), [(CRITICAL, f"{name}: no answer") for name in ("one", "two", "three")]),
        # what is out of rotation may be down
        (("two",), ("two",), [(OK, "all 2 app hosts in rotation answer")]),
        (("two", "three"), ("one",), [(CRITICAL, "one: no answer")]),
        (("one", "two", "three"), (), []),
    ],
)
def test_app_hosts_behind_a_proxy(drained: tuple[str, ...], bad: tuple[str, ...], expected: list[object]) -> None:
    found = judge_upstreams(UPSTREAMS, dict.fromkeys(drained, "kernel"), ask(*bad))  # type: ignore[arg-type]
    assert [(finding.status, finding.message) for finding in found] == expected


def test_who_is_out_of_rotation_is_named_with_the_way_back() -> None:
    (finding,) = judge_rotation(UPSTREAMS, {"two": "since noon, kernel", "gone": "long ago"})
    assert finding.status == WARNING
    assert "two is out of rotation (since noon, kernel)" in finding.message
    assert finding.message.endswith("-e drain_state=restored -e drain_host=two.")
    assert judge_rotation(UPSTREAMS, {}) == []
    everyone = judge_rotation(UPSTREAMS, dict.fromkeys(("one", "two", "three"), "forced"))
    assert {finding.status for finding in everyone} == {CRITICAL}


def test_the_note_on_the_proxy_is_read(tmp_path: Path) -> None:
    file = tmp_path / "drained.json"
    assert read_drained(file) == {}
    for content, expected in (('{"one": "kernel"}', {"one": "kernel"}), ("[]", {}), ("{", {})):
        file.write_text(content)
        assert read_drained(file) == expected


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [(0, OK, "accepts"), (1, CRITICAL, "refuses"), (2, CRITICAL, "does not answer"), (3, CRITICAL, "ended with 3")],
)
def test_what_pg_isready_says(code: int, status: str, words: str) -> None:
    finding = judge_database(code, 5432)
    assert finding.status == status
    assert words in finding.message


@pytest.fixture
def server() -> Iterator[int]:
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Host"] == "shop.test" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing: the test's output is pytest's."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_address[1]
    running.shutdown()


def asked(port: int) -> list[Finding]:
    upstreams = [{"name": name, "host": "127.0.0.1", "port": port} for name, port in (("one", port), ("two", 1))]
    return check_proxy(
        {
            "proxy_url": f"http://127.0.0.1:{port}/health",
            "host_name": "shop.test",
            "certificate_url": "",
            "upstreams": upstreams,
            "upstream_path": "/health",
            "drained_file": "",
            "timeout": 2,
        }
    )


def test_a_proxy_and_its_app_hosts_are_asked_by_the_service_s_name(
    server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "instead_at", lambda _url: "")
    assert [(found.check, found.status) for found in asked(server)] == [("proxy", OK), ("upstreams", WARNING)]


def test_what_answers_in_place_of_a_proxy_is_no_healthy_one(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nginx, "PID_FILE", tmp_path / "nginx.pid")
    found = asked(server)[0]
    assert (found.check, found.status) == ("proxy", CRITICAL)
    assert found.message.startswith(f"port {server} is answered by another program (of the user ")


@pytest.mark.parametrize(("code", "status"), [(0, OK), (1, CRITICAL), (124, CRITICAL)])
def test_a_repository_host_answers_or_not(code: int, status: str) -> None:
    assert judge_repository(code, 8432).status == status


def test_what_takes_files_answers_by_tls_and_removes_old_ones(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "failed_units", lambda: ["file-backup-repository-discard.service"])
    answer, removal = check_file_repository(server, 5)
    assert [(found.check, found.status) for found in (answer, removal)] == [
        ("files_repository", CRITICAL),
        ("files_repository", WARNING),
    ]
    assert f"rclone at port {server} does not answer: 127.0.0.1:{server}: " in answer.message
    assert removal.message.startswith("old backups could not be removed.")
