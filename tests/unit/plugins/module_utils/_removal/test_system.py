# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose units, accounts and processes these are, and how processes are ended."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._removal import system
from ansible_collections.workbot.stability.plugins.module_utils._removal.system import (
    Account,
    Unit,
    end_processes,
    processes_of,
    read_account,
    read_units,
    refuse_foreign_homes,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def account(name: str, home: str, uid: int = 990, gid: int = 990) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", uid, gid, "", home, "/usr/sbin/nologin"))


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> dict[str, pwd.struct_passwd]:
    known: dict[str, pwd.struct_passwd] = {}
    groups = {"shop": 990, "people": 1001}
    monkeypatch.setattr(pwd, "getpwnam", known.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: list(known.values()))
    monkeypatch.setattr(system.grp, "getgrnam", lambda name: system.grp.struct_group((name, "x", groups[name], [])))
    return known


def test_a_user_with_another_home_is_somebody_elses(accounts: dict[str, pwd.struct_passwd]) -> None:
    accounts["shop"] = account("shop", "/srv/shop/home")
    assert read_account("shop", "shop", "/srv/shop/home") == Account("shop", "shop", 990, 990)
    other = read_account("shop", "shop", "/data/shop/home")
    assert (other.there, other.foreign) == (False, True)
    assert not read_account("nobody-yet", "shop", "/srv/nobody-yet/home").foreign


def test_a_group_that_others_are_in_stays(accounts: dict[str, pwd.struct_passwd]) -> None:
    accounts["shop"] = account("shop", "/srv/shop/home")
    accounts["report"] = account("report", "/nonexistent", 991, 990)
    found = read_account("shop", "shop", "/srv/shop/home")
    assert (found.uid, found.gid, found.words()) == (990, None, "user shop")


def test_a_group_that_was_left_alone_goes_unless_it_is_peoples(accounts: dict[str, pwd.struct_passwd]) -> None:
    assert read_account("shop", "shop", "/srv/shop/home").words() == "group shop"
    assert not read_account("shop", "people", "/srv/shop/home").there
    assert not read_account("shop", "nowhere", "/srv/shop/home").there
    assert accounts == {}


def test_another_users_home_in_the_directory_is_refused(accounts: dict[str, pwd.struct_passwd]) -> None:
    service = Service("shop", "shop", "shop", "/srv/shop", "/var/log/shop", "/run/shop", "shop-alert")
    accounts["shop"] = account("shop", "/srv/shop/home")
    accounts["other"] = account("other", "/srv/shopping/home")
    refuse_foreign_homes(service, ["/srv/shop"])
    accounts["other"] = account("other", "/srv/shop/other/home")
    with pytest.raises(StabilityError, match="the home of the user other, which is not shop's"):
        refuse_foreign_homes(service, ["/srv/shop"])


def test_a_unit_is_there_by_its_file_or_by_what_systemd_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {
        "gone.service": {"LoadState": "not-found", "ActiveState": "inactive"},
        "failed.service": {"LoadState": "not-found", "ActiveState": "failed"},
        "deleted.service": {"LoadState": "loaded", "ActiveState": "active"},
    }
    monkeypatch.setattr(system, "unit_states", lambda names: {name: states[name] for name in names})
    units = read_units([*states, "gone-act@.service"])
    assert [name for name, unit in units.items() if unit.there] == ["failed.service", "deleted.service"]
    assert Unit("x.service", ("/etc/systemd/system/x.service",), known=False).there


@pytest.fixture
def deaf() -> Iterator[int]:
    """A process that does not listen to SIGTERM, with a child that does."""
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, start_new_session=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running.pid
        running.kill()


def test_what_does_not_listen_is_killed(deaf: int) -> None:
    def mine(uid: int) -> dict[int, int]:
        return {pid: parent for pid, parent in processes_of(uid).items() if pid == deaf}

    assert mine(os.getuid())
    end_processes(os.getuid(), 0.5, mine)
    assert not mine(os.getuid())


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, which: sent.append((pid, which)))
    with pytest.raises(StabilityError, match="processes 71, 72 of user 990 do not end"):
        end_processes(990, 0.3, lambda _uid: {71: 1, 72: 71})
    assert sent[0] == (71, signal.SIGTERM)
    assert (72, signal.SIGTERM) not in sent
    assert {(71, signal.SIGKILL), (72, signal.SIGKILL)} <= set(sent)


def test_a_process_in_a_container_is_none_of_the_users(tmp_path: Path) -> None:
    """A database in a container runs as 999 as a rule, which on the host is the number of the first system user."""
    for pid, (state, spaces) in {"101": ("S", "101"), "102": ("S", "102\t1"), "103": ("Z", "103")}.items():
        (tmp_path / pid).mkdir()
        text = f"State:\t{state} (x)\nPPid:\t1\nUid:\t999\t999\t999\t999\nNSpid:\t{spaces}\n"
        (tmp_path / pid / "status").write_text(text)
    assert processes_of(999, tmp_path) == {101: 1}
