# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of a fleet's groups: where the database is, and how the service connects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.workbot.stability.plugins.plugin_utils._site.roles import site_of
from places import ROOT
from role_templates import trusted

ROLES = ROOT / "roles"
HOSTS = {"app1": "10.0.0.11", "app2": "app2.test", "db": "10.0.0.31"}


def fleet(host: str, **given: Any) -> Templar:
    """The variables of a host of three, one of them the database's."""
    variables: dict[str, Any] = {}
    for file in ("defaults", "vars"):
        variables |= yaml.safe_load((ROLES / "service" / file / "main.yml").read_text(encoding="utf-8"))
    groups = given.pop("groups", {"app": ["app1", "app2"], "database": ["db"]})
    found = {
        "inventory_hostname": host,
        "groups": groups,
        "hostvars": {name: {"service_address": address} for name, address in HOSTS.items()},
    }
    variables |= {
        **found,
        "__service_fleet": site_of("service_fleet", found, lambda value: value),
        "service_address": HOSTS[host],
        "service_name": "shop",
        "service_database_enabled": True,
        "service_database_password": "p/w",
        **given,
    }
    declared = trusted(variables)
    templar = Templar(DataLoader(), variables=declared)
    site = site_of("service", declared, templar.template)
    return templar.copy_with_new_env(available_variables={**declared, "__service_site": site})


def value(templar: Templar, expression: str) -> Any:
    return templar.template(trust_as_template("{{ " + expression + " }}"))


def test_the_database_host_asks_itself() -> None:
    assert value(fleet("db"), "service_database_host") == "127.0.0.1"


def test_an_app_host_asks_the_database_host_and_verifies_it() -> None:
    app = fleet("app1")
    assert value(app, "service_database_host") == "10.0.0.31"
    assert value(app, "service_database_server") == "db"
    assert value(app, "__service_environment_database.DATABASE_URL") == (
        "postgresql://shop:p%2Fw@10.0.0.31:5432/shop?sslmode=verify-full&sslrootcert=/srv/shop/config/database-ca.pem"
    )


@pytest.mark.parametrize("groups", [{"app": ["app1"]}, {"app": ["app1"], "database": ["app1"]}])
def test_a_host_that_is_alone_is_as_it_was(groups: dict[str, list[str]]) -> None:
    alone = fleet("app1", groups=groups)
    assert value(alone, "__service_environment_database.DATABASE_URL") == "postgresql://shop:p%2Fw@127.0.0.1:5432/shop"


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({}, ""),
        ({"service_database_tls": "disable"}, "?sslmode=disable"),
        (
            {"service_database_tls": "verify-full"},
            "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
        ),
        (
            {"service_database_tls": "verify-full", "service_database_ca_file": "ca.pem"},
            "?sslmode=verify-full&sslrootcert=/srv/shop/config/database-ca.pem",
        ),
    ],
)
def test_a_server_that_the_inventory_does_not_have(given: dict[str, Any], query: str) -> None:
    provider = fleet("app1", service_database_host="db.provider.test", **given)
    assert value(provider, "service_database_server") == ""
    assert str(value(provider, "__service_environment_database.DATABASE_URL")).endswith(
        f"@db.provider.test:5432/shop{query}"
    )
