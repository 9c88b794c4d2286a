# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog asks other programs of this host: its root helper, and the diagnosis."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

from ._findings import CRITICAL

TEST_PROXY, RESTART_PROXY, RESTART_DAEMON = "test-proxy", "restart-proxy", "restart-daemon"
_MAX_ANSWER = 4096
_TEST_SECONDS = 5.0
_DATABASE_SECONDS = 6.0
_MAX_REPORT = 4 * 1024 * 1024


class RootError(Exception):
    """The root helper could not be asked, or did not do it; the message says why."""


def act(path: str, word: str, seconds: float) -> str:
    """Have the root helper do one of its words. Returns what it says. Raises RootError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(path)
            connection.sendall(f"{word}\n".encode())
            answer = b""
            while len(answer) < _MAX_ANSWER and (chunk := connection.recv(_MAX_ANSWER)):
                answer += chunk
    except OSError as error:
        raise RootError(f"{path} did not answer: {error.strerror or error}") from error
    verdict, _space, text = answer.decode("utf-8", "replace").strip().partition(" ")
    if verdict != "ok":
        raise RootError(text or "it did not say what became of it")
    return text


def ask_root(path: str, word: str) -> str:
    """What the helper's test finds wrong; empty when nothing, or when it can't be asked."""
    try:
        return act(path, word, _TEST_SECONDS)
    except RootError:
        return ""


def ask_database(command: str) -> str:
    """What the diagnosis says is critical about the database; empty when nothing is."""
    report = diagnose([command, "--check", "database", "--json"], _DATABASE_SECONDS)
    messages = [str(finding.get("message", "")) for finding in report or () if finding.get("status") == CRITICAL]
    return "; ".join(messages)


def diagnose(argv: list[str], seconds: float) -> list[dict[str, Any]] | None:
    """The findings of one run of the diagnosis command; None where it fails or takes too long."""
    try:
        # This logic does not know AnsibleModule, so it cannot use its run_command.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"},
        )
        findings = json.loads(done.stdout[:_MAX_REPORT])["findings"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    return [finding for finding in findings if isinstance(finding, dict)] if isinstance(findings, list) else None
