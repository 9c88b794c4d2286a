# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into PostgreSQL: one service's lines go, and nobody else's."""

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.module_utils._removal.database import (
    Database,
    strangers,
    without_block,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service

SHOP = Service("shop", "shop", "shop", "/srv/shop", "/var/log/shop", "/run/shop", database="shop")
SHOP_ROLES = Service(**{**vars(SHOP), "database_roles": ("shop", "shop_owner")})
OTHERS = """\
# BEGIN shop2, managed by Ansible
local shop2 shop2_diagnosis peer map=shop2
# END shop2, managed by Ansible
local   all             postgres                                peer
"""
HBA = f"""\
# BEGIN shop, managed by Ansible
local all postgres peer
host shop shop 127.0.0.1/32 scram-sha-256
# END shop, managed by Ansible
{OTHERS}"""


def test_the_block_goes_and_nothing_else() -> None:
    assert without_block(HBA, SHOP.marker) == OTHERS
    assert without_block(OTHERS, SHOP.marker) == OTHERS


def test_without_its_end_a_block_is_none() -> None:
    """What follows it may be anybody's."""
    broken = HBA.replace("# END shop, managed by Ansible\n", "")
    assert without_block(broken, SHOP.marker) == broken


def test_others_that_are_let_into_the_database_are_found() -> None:
    assert strangers(SHOP_ROLES, HBA) == []
    assert strangers(SHOP_ROLES, HBA + "# host shop reports 10.0.0.1/32 md5\n") == []
    line = "host shop2,shop reports 10.0.0.1/32 scram-sha-256"
    assert strangers(SHOP_ROLES, f"{HBA}{line}\n") == [line]
    line = 'host "shop" reports 10.0.0.1/32 scram-sha-256'
    assert strangers(SHOP_ROLES, f"{HBA}{line}\n") == [line]
    line = "host reports shop_owner 10.0.0.1/32 scram-sha-256"
    assert strangers(SHOP_ROLES, f"{HBA}{line}\n") == [line]


def test_it_is_told_by_its_name_and_its_roles() -> None:
    assert Database("shop", ("shop", "shop_owner")).words() == "database shop and roles shop, shop_owner"
    assert Database(roles=("shop",)).words() == "roles shop"
    assert not Database(problem="no answer").there
