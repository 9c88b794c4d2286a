# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog asks its root helper."""

from __future__ import annotations

import socket

from ..._host.errors import StabilityError
from .proxy import Verdict

TEST_PROXY, RESTART_PROXY = "test-proxy", "restart-proxy"
RENEW_ACTIVATION, RESTART_DAEMON = "renew-activation", "restart-daemon"
_MAX_ANSWER = 4096
_TEST_SECONDS = 5.0


def act(path: str, word: str, seconds: float) -> str:
    """Have the root helper do one of its words. Returns what it says. Raises StabilityError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(path)
            connection.sendall(f"{word}\n".encode())
            with connection.makefile("rb") as file:
                answer = file.read(_MAX_ANSWER)
    except OSError as error:
        raise StabilityError(f"{path} did not answer: {error.strerror or error}") from error
    verdict, _space, text = answer.decode("utf-8", "replace").strip().partition(" ")
    if verdict != "ok":
        raise StabilityError(text or "it did not say what became of it")
    return text


def examine_proxy(path: str) -> Verdict | None:
    """Have the root helper see for itself what is wrong with Nginx; None where it can't be asked."""
    try:
        state, _space, message = act(path, TEST_PROXY, _TEST_SECONDS).partition(" ")
    except StabilityError:
        return None
    return Verdict(state, message)
