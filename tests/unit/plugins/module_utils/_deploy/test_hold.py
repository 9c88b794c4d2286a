# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of which never two may run: the old one is stopped first, requests wait, and a failure brings it back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from activation_host import FakeSystemd, deploy, desiring, picture, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy import steps
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.hold import hold
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError

ONE = "200"
BROKEN = {
    "never answers": ("deaf", "no complete answer within 1 s"),
    "unhealthy": ("500", "answered 500 instead of 200"),
    "dies after its first answers": ("200#1", "ended after it had been healthy"),
    "gives up": ("exit", "worker 0 ended once\n"),
    "PM2 refuses": ("refuses", "no such script"),
}


@pytest.fixture
def alone(host: Context) -> Context:
    """A host on which release `old` serves, of which never two may run."""
    single = desiring(host, overlap=False, app={**host.desired.app, "instances": 1})
    release(single, "old", ONE)
    deploy(single, "old")
    return single


class Proxy(threading.Thread):
    """Asks one question after the other: at the link that names the active socket, else at its backup, like Nginx."""

    def __init__(self, host: Context) -> None:
        super().__init__(daemon=True)
        self.statuses: list[str] = []
        self.slowest = 0.0
        self._places = host.places
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self.statuses.append(self._ask())
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _ask(self) -> str:
        for path in (self._places.active / "0.sock", self._places.hold_socket):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                try:
                    connection.connect(str(path))
                except OSError:
                    continue
                connection.sendall(b"POST /orders HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody")
                return connection.recv(4096).split(b" ")[1].decode()
        return "refused"

    def end(self) -> None:
        self._over.set()
        self.join(15)


@contextmanager
def asked(host: Context) -> Iterator[Proxy]:
    proxy = Proxy(host)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.end()


@contextmanager
def starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, list[str]]]]:
    """Which units were started, and which ran at that moment."""
    seen: list[tuple[str, list[str]]] = []
    start = FakeSystemd._start

    def watched(self: FakeSystemd, name: str) -> str:
        seen.append((name, sorted(self.daemons)))
        return start(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(FakeSystemd, "_start", watched)
        yield seen


def without_ids(host: Context) -> dict[str, Any]:
    """All that a deployment may change, but which process it is."""
    seen = picture(host)
    return {**seen, "processes": [name for name, _pid in seen["processes"]]}


def test_it_is_stopped_before_the_next_one_starts_and_no_request_is_refused(
    alone: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(alone, "new", ONE)
    with starts(monkeypatch) as started, asked(alone) as proxy:
        outcome = deploy(alone, "new")
    assert started == [("shop@new.service", [])]
    assert set(proxy.statuses) == {"200"}
    assert proxy.slowest > alone.health.stay_up
    assert outcome.held["requests"] == 1
    assert picture(alone)["links"] == {"active": "new", "current": "new", "previous": "old"}
    assert [step["step"] for step in outcome.timeline] == [
        "check the host",
        "make directory",
        "hold requests and stop old",
        "start",
        "wait until healthy",
        "stay healthy",
        "switch",
        "hand on requests",
        "check through the proxy",
        "stop old",
        "stop old",
    ]
    assert not deploy(alone, "").changed
    assert [path.name for path in alone.places.activations.iterdir()] == ["new"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_gives_the_place_back(alone: Context, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    program, says = BROKEN[name]
    release(alone, "bad", program)
    before = without_ids(alone)
    with starts(monkeypatch) as started, asked(alone) as proxy, pytest.raises(ActivationError, match=says) as error:
        deploy(alone, "bad")
    assert "Release old is active as before and answers healthily" in str(error.value)
    assert started == [("shop@bad.service", []), ("shop@old.service", [])]
    assert set(proxy.statuses) == {"200"}
    assert without_ids(alone) == before
    assert not deploy(alone, "").changed


@pytest.mark.parametrize("point", ["before_stop", "before_start", "after_start", "before_switch", "after_switch"])
def test_a_command_that_fails_brings_it_back(alone: Context, point: str) -> None:
    release(alone, "new", ONE)
    before = without_ids(alone)
    failing = desiring(alone, hooks={point: [["/bin/sh", "-c", "echo cold; exit 1"]]})
    with asked(alone) as proxy, pytest.raises(ActivationError, match=f"(?s)hook {point}.*cold"):
        deploy(failing, "new")
    assert set(proxy.statuses) == {"200"}
    assert without_ids(alone) == before


def test_on_the_way_back_no_websocket_holds_the_others_up(alone: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the old one waits no longer for the new one's connections than it did for the old one's."""
    monkeypatch.setattr(steps, "_DRAIN_SECONDS", 0.5)
    release(alone, "new", ONE)
    marks = alone.places.releases.parent / "home"
    told = f"touch {marks}/switched; while ! test -e {marks}/connected; do sleep 0.05; done; exit 1"
    failing = desiring(alone, drain_time=60, hook_timeout=60, hooks={"after_switch": [["/bin/sh", "-c", told]]})
    clients = [socket.socket(socket.AF_UNIX) for _number in range(8)]

    def connect() -> None:
        while not (marks / "switched").exists():
            time.sleep(0.05)
        for client in clients:
            client.connect(str(alone.places.active / "0.sock"))
        (marks / "connected").touch()

    threading.Thread(target=connect, daemon=True).start()
    began = time.monotonic()
    with ExitStack() as connected, pytest.raises(ActivationError, match="hook after_switch"):
        for client in clients:
            connected.enter_context(client)
        deploy(failing, "new")
    # the service hangs up on each after two seconds, one after the other
    assert time.monotonic() - began < 12


def test_told_to_end_the_run_brings_it_back(alone: Context) -> None:
    release(alone, "new", ONE)
    before = without_ids(alone)
    kill = ["/bin/sh", "-c", f"kill -TERM {os.getpid()}; sleep 5"]
    with pytest.raises(ActivationError, match="told to end"):
        deploy(desiring(alone, hooks={"before_start": [kill]}), "new")
    assert without_ids(alone) == before


def test_a_boot_starts_one_of_them_whenever_it_comes(alone: Context) -> None:
    release(alone, "new", ONE)
    trace = alone.places.releases.parent / "home"
    points = ("before_stop", "before_start", "before_switch", "after_switch", "after_stop")
    note = {point: [["/bin/cp", "-P", str(alone.places.active), str(trace / point)]] for point in points}
    deploy(desiring(alone, hooks=note), "new")
    named = [(trace / point).readlink() for point in points]
    old, new = (alone.places.of(Activation(name)) for name in ("old", "new"))
    assert named == [old, old, old, new, new]


def test_the_first_one_holds_nothing(host: Context) -> None:
    release(host, "old", ONE)
    outcome = deploy(host, "old", overlap=False, app={**host.desired.app, "instances": 1})
    assert outcome.held == {}


def test_what_a_killed_run_left_is_replaced_and_the_old_one_starts_if_nothing_else_is_asked_for(
    alone: Context, systemd: FakeSystemd
) -> None:
    systemd.end()
    alone.places.socket(Activation("old")).unlink()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(alone.places.hold_socket))
    outcome = deploy(alone, "")
    assert outcome.changed
    assert not alone.places.hold_socket.exists()
    assert [name for name, _pid in picture(alone)["processes"]] == ["shop-old@2"]


def test_a_websocket_is_cut_at_the_limit(tmp_path: Path, alone: Context) -> None:
    service, waiting = tmp_path / "service.sock", tmp_path / "waiting.sock"
    with socket.socket(socket.AF_UNIX) as listener, hold(waiting, os.getgid(), alone.user, 0.5) as held:
        assert waiting.stat().st_mode & 0o777 == 0o660
        listener.bind(str(service))
        listener.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(waiting))
            client.sendall(b"hello")
            assert held.hand_on(service)["requests"] == 1
            there, _address = listener.accept()
            with there:
                assert there.recv(5) == b"hello"
                assert there.recv(5) == b""
            assert client.recv(5) == b""


def test_who_waits_for_nothing_is_hung_up_on(tmp_path: Path, alone: Context) -> None:
    waiting = tmp_path / "waiting.sock"
    with hold(waiting, os.getgid(), alone.user, 5) as held, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(waiting))
        assert held.hand_on(tmp_path / "nobody.sock")["requests"] == 1
        assert client.recv(5) == b""
    assert not waiting.exists()
