# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever fails, and whenever: what the active link names runs, answers and comes up at a boot; the rest is said."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from activation_host import GOOD, FakeSystemd, config, deploy, desiring, picture, processes, release, running
from ansible_collections.workbot.stability.plugins.module_utils._checks.health import read_health
from ansible_collections.workbot.stability.plugins.module_utils._deploy import run, steps, teardown
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import problem_of
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._host import atomic
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.units import UnitError
from ansible_collections.workbot.stability.plugins.module_utils._net.http import Request
from ansible_collections.workbot.stability.plugins.module_utils._service import deployments

WRITES = 11
"""So many files and links a deployment writes."""
SERVES = "Release new is active and serves, but"


def with_hook(host: Context, point: str, *command: str) -> Context:
    return desiring(host, hooks={point: [["/bin/sh", "-c", *command]]})


def failed(host: Context, **order: Any) -> str:
    """The message of a deployment of release `new` that must fail."""
    with pytest.raises((StabilityError, OSError)) as error:
        deploy(host, "new", **order)
    return str(error.value)


def serving(host: Context) -> str:
    """The activation that the link names, which must answer, have its workers and settings, and come up at a boot."""
    active = read_active(host.places)
    assert active is not None
    reading = read_health(Request(url="/health", unix_socket=str(host.places.link(active)), timeout=2))
    assert problem_of(reading) == ""
    name = host.places.app_name(active)
    assert [app for app, pid in processes(host) if app == name and pid] == [name] * 2
    # what a boot starts
    assert f'"{name}"' in config(host)
    assert host.places.active.readlink() == host.places.of(active)
    assert host.places.snapshot(active).exists()
    return active.name


class Disk:
    """Files and links can be written until `room` is used up; then the kernel says ENOSPC, once or for good."""

    def __init__(self, room: int, for_good: bool) -> None:
        self.room, self.for_good, self.writes = room, for_good, 0
        self._mkstemp, self._symlink = tempfile.mkstemp, Path.symlink_to

    def full(self) -> bool:
        self.writes += 1
        return self.writes > self.room if self.for_good else self.writes == self.room + 1

    def mkstemp(self, **where: Any) -> tuple[int, str]:
        descriptor, name = self._mkstemp(**where)
        if self.full():
            os.close(descriptor)
            # what is written there meets a full disk
            descriptor = os.open("/dev/full", os.O_WRONLY)
        return descriptor, name

    def symlink_to(self) -> Callable[[Path, Path], None]:
        def symlink(link: Path, target: Path) -> None:
            if self.full():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(link))
            self._symlink(link, target)

        return symlink


@contextmanager
def disk(room: int, for_good: bool = True) -> Iterator[Disk]:
    found = Disk(room, for_good)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.tempfile, "mkstemp", found.mkstemp)
        patch.setattr(Path, "symlink_to", found.symlink_to())
        yield found


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("room", range(WRITES))
def test_a_disk_that_is_full_at_one_of_the_writes(served: Context, room: int, for_good: bool) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    with disk(room, for_good):
        message = failed(served)
    assert "No space left on device" in message
    if SERVES in message:
        assert serving(served) == "new"
    else:
        assert serving(served) == "old"
        assert picture(served) == before or "Not undone" in message
    deploy(served, "new")
    assert serving(served) == "new"
    assert running(served) == ["shop-new"]
    assert not deploy(served, "").changed


def test_those_are_all_the_writes_but_for_a_record_that_may_be_lost(served: Context) -> None:
    release(served, "new", GOOD)
    with disk(WRITES) as found:
        deploy(served, "new")
    assert found.writes == WRITES + 1
    assert [one.release for one in deployments.read(served.places.directory)] == ["old"]
    assert serving(served) == "new"


def refuse(*_arguments: Any, **_named: Any) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def refuse_for(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which fails for paths of that name."""
    return lambda path, *more: refuse() if path.name == name else function(path, *more)


UNDONE_IN_PART: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "previous": lambda patch: patch.setattr(steps, "point", refuse_for("previous", steps.point)),
    "new processes": lambda patch: patch.setattr(teardown, "stop_unit", refuse),
    "its directory": lambda patch: patch.setattr(steps, "remove_tree", refuse),
}
LEFT = {
    "previous": {"links"},
    "new processes": {"processes", "units", "files", "sockets", "tools"},
    "its directory": {"files", "sockets", "tools"},
}


@pytest.mark.parametrize("what", UNDONE_IN_PART)
def test_a_way_back_that_fails_does_not_stop_the_others(
    served: Context, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    failing = with_hook(served, "before_stop", "echo cold; exit 1")
    with monkeypatch.context() as patch:
        UNDONE_IN_PART[what](patch)
        message = failed(failing)
    not_undone = [line for line in message.splitlines() if line.startswith("Not undone: ")]
    assert len(not_undone) == 1, message
    assert what in not_undone[0]
    assert "Release old is active as before and answers healthily" in message
    assert serving(served) == "old"
    after = picture(served)
    changed = {key for key, value in before.items() if after[key] != value}
    assert changed <= LEFT[what]
    deploy(served, "new")
    assert serving(served) == "new"
    assert not deploy(served, "").changed


def test_what_the_link_names_is_left_running_when_the_link_can_not_be_put_back(
    served: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(served, "new", GOOD)
    failing = with_hook(served, "after_switch", "echo cold; exit 1")
    with monkeypatch.context() as patch:
        patch.setattr(atomic.Return, "take", refuse)
        message = failed(failing, discard_failed=True)
    assert "Release new failed, but it is still the active one" in message
    assert "Release new is active and answers healthily" in message
    assert "could not be put back: hook after_switch" in message
    assert serving(served) == "new"
    assert served.places.release("new").is_dir()
    assert running(served) == ["shop-new", "shop-old"]
    deploy(served, "new")
    assert serving(served) == "new"
    assert running(served) == ["shop-new"]


def test_what_the_link_names_is_never_removed(served: Context) -> None:
    before = picture(served)
    with pytest.raises(ActivationError, match="still names old"):
        teardown.remove_activation(served, Activation("old"))
    assert teardown.discard_release(served.places, "old") == ""
    assert teardown.discard_release(served.places, "../config") == ""
    assert picture(served) == before
    assert served.places.release("old").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("point", ["before_start", "after_start", "after_switch", "before_stop"])
def test_told_to_end_at_a_step_the_run_puts_everything_back(served: Context, point: str, number: int) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    assert "told to end" in failed(with_hook(served, point, f"kill -{int(number)} {os.getpid()}; sleep 5"))
    assert picture(served) == before


@pytest.mark.parametrize("point", ["before_start", "before_switch", "before_stop", "after_stop"])
def test_a_lost_connection_ends_nothing(served: Context, point: str) -> None:
    release(served, "new", GOOD)
    deploy(with_hook(served, point, f"kill -HUP {os.getpid()}"), "new")
    assert serving(served) == "new"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("cause", ["a command fails", "told to end"])
def test_a_signal_does_not_interrupt_the_way_back(
    served: Context, monkeypatch: pytest.MonkeyPatch, cause: str, number: signal.Signals
) -> None:
    release(served, "new", GOOD)
    before = picture(served)
    stop, seen = teardown.stop_unit, []

    def disturbed(*arguments: Any) -> None:
        seen.append(number)
        os.kill(os.getpid(), number)
        stop(*arguments)

    monkeypatch.setattr(teardown, "stop_unit", disturbed)
    command = "exit 1" if cause == "a command fails" else f"kill -TERM {os.getpid()}; sleep 5"
    assert "Not undone" not in failed(with_hook(served, "before_stop", command))
    assert seen
    assert picture(served) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_once_the_old_one_is_being_stopped_the_run_goes_to_its_end(served: Context, number: signal.Signals) -> None:
    release(served, "new", GOOD)
    before = {known: signal.getsignal(known) for known in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    deploy(with_hook(served, "after_stop", f"kill -{int(number)} {os.getpid()}"), "new")
    assert serving(served) == "new"
    assert {known: signal.getsignal(known) for known in before} == before


def refuse_counting(*_arguments: Any) -> int:
    raise OSError(errno.EIO, "the kernel says no")


def refuse_stopping(*_arguments: Any) -> None:
    raise UnitError("systemd says no")


AFTERWARDS: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "drain": (steps, "connections_of", refuse_counting, "the kernel says no"),
    "stop": (teardown, "stop_unit", refuse_stopping, "systemd says no"),
    "config": (run, "write_declared", refuse, "the ecosystem file and the options: "),
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_what_fails_when_the_new_one_serves_is_said_and_not_undone(
    served: Context, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    release(served, "new", GOOD)
    module, name, refusing, says = AFTERWARDS[what]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, refusing)
        message = failed(served, discard_failed=True)
    assert SERVES in message
    assert says in message
    assert serving(served) == "new"
    assert picture(served)["links"] == {"active": "new", "current": "new", "previous": "old"}
    deploy(served, "new")
    assert running(served) == ["shop-new"]
    assert not deploy(served, "").changed


def test_all_that_failed_afterwards_is_said_at_once(served: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    release(served, "new", GOOD)
    monkeypatch.setattr(teardown, "stop_unit", refuse_stopping)
    monkeypatch.setattr(run, "write_declared", refuse)
    message = failed(with_hook(served, "after_stop", "echo cold; exit 1"))
    for says in ("the old one was not stopped", "hook after_stop", "the ecosystem file"):
        assert says in message


def test_what_systemd_does_not_stop_goes_on_and_is_stopped_by_the_next_run(
    served: Context, systemd: FakeSystemd
) -> None:
    release(served, "new", GOOD)
    systemd.refuses.add("stop")
    message = failed(served)
    assert SERVES in message
    assert "the old one was not stopped in good order: systemctl stop shop@old.service: it was refused" in message
    assert running(served) == ["shop-new", "shop-old"]
    systemd.refuses.clear()
    deploy(served, "")
    assert running(served) == ["shop-new"]
    assert picture(served)["units"] == ["shop@new.service"]
