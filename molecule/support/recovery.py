# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a fault: when the watchdog notices it, what it does, and when clients are served well again."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosts import HOST, SSH_CONFIG
from testinfra.host import Host
from waiting import until

PROBE = (Path(__file__).parent / "recovery_probe.py").read_text(encoding="utf-8")
NAME = "workbot"
LOGS = "/var/log/workbot/monitor.log /var/log/workbot/recovery.log"
STATUS = f"/run/{NAME}-watchdog/status.json"
WORKERS = 2
LOAD = ("--path=/faults/health/ok", "--methods=POST", "--connections=16", "--pause=0.02")
# Asks workers on their own sockets: the first argument is the method, the second the path, the others the numbers.
ASK = """
import json, socket, sys

method, path, *numbers = sys.argv[1:]
for number in numbers:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(2)
    try:
        connection.connect(f"/srv/workbot/active/{number}.sock")
        connection.sendall(f"{method} {path} HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        print(json.loads(answer.partition(b"\\r\\n\\r\\n")[2])["pid"])
    except (OSError, ValueError, KeyError):
        pass
    finally:
        connection.close()
"""
# So long everything must be well for a fault to be over; and where the watchdog may not even have looked yet.
CALM, UNNOTICED = 3.0, 10.0
# Seconds within which a service that hangs or is dead is well again, at the defaults.
SOON = 20
# No more recovery steps than this in a quarter of an hour, whatever happens.
MOST_ACTIONS = 5


@dataclass(frozen=True)
class Course:
    """One fault, in seconds from its beginning. None: that did not happen."""

    began: float
    """In Unix time."""
    detected: float | None
    healthy: float | None
    actions: tuple[str, ...]
    told: tuple[str, ...]
    """Codes of the problems that the watchdog told of, in that order."""
    failed: int
    """Of the questions for health through Nginx, those without a good answer."""
    starved: float = 0.0
    """Until when the watchdog held back because processors were short, as it is meant to: other tests take them."""

    @property
    def cured(self) -> float:
        """How long it took to be healthy, from when there were processors for that."""
        assert self.healthy is not None
        return self.healthy - self.starved


@dataclass
class Samples:
    """What the probe on the host has said so far."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def since(self, began: float) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["sent"] >= began]

    def well_since(self, began: float, calm: float) -> float | None:
        """From when on clients were served well and the watchdog was content; None while that is not certain."""
        lines = sorted(self.since(began), key=lambda line: line["sent"])
        bad = [line["sent"] + line["took"] for line in lines if line["wrong"] or line["state"] != "healthy"]
        start = max([began, *bad])
        good = [line for line in lines if line["sent"] >= start]
        return start if good and good[-1]["sent"] - start >= calm else None


@contextmanager
def probing() -> Iterator[Samples]:
    """Asks all the time; the samples grow meanwhile."""
    ssh = ["ssh", "-F", SSH_CONFIG, HOST, "sudo", "python3", "-u", "-c", shlex.quote(PROBE), NAME]
    running = subprocess.Popen(ssh, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None and running.stdin is not None
    samples = Samples()

    def read() -> None:
        for line in running.stdout or ():
            samples.lines.append(json.loads(line))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        until("the probe's first word", lambda: samples.lines, 10)
        yield samples
    finally:
        running.stdin.close()
        running.wait(timeout=10)
        reader.join()


def ask(host: Host, method: str, path: str, numbers: Iterable[int]) -> list[int]:
    """Process ids of the workers of these numbers, as far as they answer."""
    answered = host.run(f"python3 -c %s %s %s {' '.join(map(str, numbers))}", ASK, method, path).stdout
    return [int(pid) for pid in answered.split()]


@dataclass
class Watch:
    """The watchdog of the service, looked at from outside."""

    host: Host
    samples: Samples

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.host.check_output(f"cat {STATUS}"))
        return found

    def command(self, words: str) -> str:
        return str(self.host.check_output(f"{NAME}-watchdog {words}"))

    def events(self, began: float) -> list[dict[str, Any]]:
        """What it has logged since then."""
        text = self.host.run(f"tail -q -n 400 {LOGS}").stdout
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return sorted((line for line in lines if line["time"] >= began), key=lambda line: line["time"])

    def told(self, began: float, code: str) -> dict[str, Any] | None:
        found = [event for event in self.events(began) if event["kind"] == "problem" and event["code"] == code]
        return found[0] if found else None

    def actions(self, began: float) -> tuple[str, ...]:
        return tuple(event["code"] for event in self.events(began) if event["kind"] == "action")

    def until_told(self, began: float, code: str, limit: float = 40) -> dict[str, Any]:
        found: dict[str, Any] = until(f"{code} told", lambda: self.told(began, code), limit)
        return found

    def until_acted(self, began: float, limit: float = 40) -> tuple[str, ...]:
        found: tuple[str, ...] = until("an action", lambda: self.actions(began), limit)
        return found

    def until_well(self, began: float, limit: float = 60, calm: float = CALM) -> float:
        """Seconds from `began` until clients are served well, the watchdog is content, and each worker answers."""
        since = until("all well", lambda: self.samples.well_since(began, calm), limit + calm)
        until("each worker answers", lambda: len(self.answering()) == WORKERS, 10)
        return float(since - began)

    def answering(self) -> set[int]:
        """Process ids of the workers that answer."""
        return set(ask(self.host, "GET", "/api/health", range(WORKERS)))

    def course(self, began: float, healthy: float | None) -> Course:
        events = self.events(began)
        problems = [event for event in events if event["kind"] == "problem"]
        uneasy = [line["sent"] for line in self.samples.since(began) if line["state"] not in ("healthy", "")]
        spoken = [event["time"] for event in events if event["kind"] != "resolved"]
        first = min([*uneasy, *spoken], default=None)
        return Course(
            began=began,
            detected=None if first is None else first - began,
            healthy=healthy,
            actions=tuple(event["code"] for event in events if event["kind"] == "action"),
            told=tuple(dict.fromkeys(event["code"] for event in problems)),
            failed=sum(bool(line["wrong"]) for line in self.samples.since(began)),
            starved=max((event["time"] - began for event in events if event.get("from") == "cpu_short"), default=0.0),
        )
