# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose units and accounts these are."""

from __future__ import annotations

import pwd

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._removal import system
from ansible_collections.workbot.stability.plugins.module_utils._removal.system import (
    Account,
    Unit,
    read_account,
    read_units,
    refuse_foreign_homes,
    remove_account,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service


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


def test_what_was_started_since_the_plan_ends_before_its_number_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[object, ...]] = []
    monkeypatch.setattr(system, "end_processes", lambda *order: done.append(order))
    monkeypatch.setattr(system, "call", lambda *command: done.append(command))
    remove_account(Account("shop", "shop", None, None), 5)
    assert done == []
    remove_account(Account("shop", "shop", 990, None), 5)
    assert done == [(990, 5), ("userdel", "shop")]
