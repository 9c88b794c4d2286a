# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service as its clients meet it: through Nginx, over HTTP and WebSockets."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Callable
from typing import Any

import pytest

SITE = "http://127.0.0.1"
RATE_LIMIT_REQUESTS = 10
RATE_LIMIT_WINDOW = 10  # seconds

# A WebSocket client in a few lines of Python: prints the frames that the server sends before it closes or pauses.
WEBSOCKET_CLIENT = textwrap.dedent(
    """
    import base64, hashlib, os, socket

    key = base64.b64encode(os.urandom(16)).decode()
    connection = socket.create_connection(("127.0.0.1", 80), timeout=10)
    stream = connection.makefile("rb")
    connection.sendall((
        "GET /ws HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        "Sec-WebSocket-Key: " + key + "\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n"
    ).encode())
    status = stream.readline().decode().strip()
    headers = {}
    while line := stream.readline().decode().strip():
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    assert " 101 " in status, status
    accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    assert headers["sec-websocket-accept"] == base64.b64encode(accept).decode(), headers

    def frame():
        first, length = stream.read(2)
        assert first == 0x81, first  # one whole text frame
        if length == 126:
            length = int.from_bytes(stream.read(2), "big")
        return stream.read(length).decode()

    print(frame())
    message = b'{"type":"ping"}'
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(message))
    connection.sendall(bytes([0x81, 0x80 | len(message)]) + mask + masked)
    print(frame())
    """
)


def get(host: Any, path: str) -> tuple[int, str]:
    """Ask the site from the host itself; returns the status and the body."""
    script = textwrap.dedent(
        """
        import sys, urllib.error, urllib.request
        try:
            answer = urllib.request.urlopen(sys.argv[1], timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        print(answer.status)
        print(answer.read().decode())
        """
    )
    status, body = host.check_output("python3 -c %s %s", script, SITE + path).split("\n", 1)
    return int(status), body


def get_when_allowed(host: Any, path: str) -> tuple[int, str]:
    """As `get`, but an earlier test may have used up this address's requests: wait for the window to pass."""
    deadline = time.monotonic() + 2 * RATE_LIMIT_WINDOW
    while True:
        status, body = get(host, path)
        if status != 429 or time.monotonic() > deadline:
            return status, body
        time.sleep(1)


def statuses(host: Any, path: str, count: int) -> list[int]:
    """Ask as fast as one connection after the other goes, on the host."""
    script = textwrap.dedent(
        """
        import http.client, sys
        for _ in range(int(sys.argv[2])):
            connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
            connection.request("GET", sys.argv[1])
            print(connection.getresponse().status)
        """
    )
    return [int(line) for line in host.check_output("python3 -c %s %s %s", script, path, str(count)).split()]


def sql(host: Any, statement: str) -> str:
    """Run a statement as the database's administrator."""
    psql = "runuser -u postgres -- psql --dbname=workbot --tuples-only --quiet"
    return host.check_output(psql + " --command=%s", statement)


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_health_has_the_documented_shape(host: Any, path: str) -> None:
    status, body = get(host, path)
    health = json.loads(body)
    assert status == 200
    assert health["status"] == "ok", health
    assert health["environment"] == "production"
    assert health["version"]
    assert health["timestamp"].endswith("Z")
    assert health["uptime"] > 0
    memory = health["memory"]
    assert {"heapUsed", "heapTotal", "rss", "usagePercent", "heapLimit", "heapLimitPercent"} <= memory.keys()
    assert 0 < memory["heapUsed"] <= memory["heapTotal"] < memory["heapLimit"]
    assert health["database"]["status"] == "ok"
    assert health["database"]["latencyMs"] >= 0
    assert health["websocket"]["connections"] >= 0
    assert health["websocket"]["status"] == "ok"
    assert health["websocket"]["max"] == 100


def test_websocket_opens_and_answers_through_nginx(host: Any) -> None:
    frames = [json.loads(line) for line in host.check_output("python3 -c %s", WEBSOCKET_CLIENT).splitlines()]
    assert [frame["type"] for frame in frames] == ["welcome", "pong"]


def test_conversations_come_with_their_robot(host: Any) -> None:
    robot = "molecule-workbot"
    sql(
        host,
        f"WITH robot AS (INSERT INTO robots (name, model) VALUES ('{robot}', 'test') RETURNING id) "
        "INSERT INTO conversations (robot_id, title) SELECT id, 'from molecule' FROM robot",
    )
    try:
        status, body = get_when_allowed(host, "/api/conversations")
    finally:
        sql(host, f"DELETE FROM robots WHERE name = '{robot}'")
    assert status == 200, body
    newest = json.loads(body)["conversations"][0]
    assert newest["title"] == "from molecule"
    assert newest["robot"]["name"] == robot


def dump(host: Any) -> list[str]:
    """All that is in the database; newer servers' pg_dump adds a word of its own at random."""
    text = host.check_output("runuser -u postgres -- pg_dump --dbname=workbot --create")
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_the_services_own_tests_pass_with_this_database(host: Any) -> None:
    before = dump(host)
    node = "/opt/workbot/bin/node --env-file=/srv/workbot/config/environment --import tsx --test --test-reporter=tap"
    # As the service runs: with its user, its environment file and the dependencies of the release.
    suite = f"cd /srv/workbot/current && exec runuser -u workbot -- {node} test/database.test.ts"
    done = host.run("timeout 120 sh -c %s", suite)
    assert done.rc == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^# (pass|fail|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) >= 4, done.stdout
    assert (counts["fail"], counts["skipped"]) == ("0", "0")
    assert dump(host) == before


def test_rate_limit_is_on_the_api_and_not_on_health(
    host: Any, pm2_processes: Callable[[], list[dict[str, Any]]]
) -> None:
    # Each worker counts for itself: with one request more than all of them allow, one of them refuses.
    count = RATE_LIMIT_REQUESTS * len(pm2_processes()) + 1
    assert 429 in statuses(host, "/api/conversations", count)
    assert set(statuses(host, "/health", count)) == {200}
    assert set(statuses(host, "/api/health", count)) == {200}


def test_bad_input_is_the_clients_fault(host: Any) -> None:
    assert get_when_allowed(host, "/api/conversations?limit=none")[0] == 400


def test_faults_are_not_there(host: Any) -> None:
    assert get(host, "/faults/n-plus-one")[0] == 404
