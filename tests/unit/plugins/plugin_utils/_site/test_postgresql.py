# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the variables of role postgresql, on tables of inventories."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.access import for_each_client
from ansible_collections.workbot.stability.plugins.plugin_utils._site.postgresql import Postgresql

# The roles' defaults, on an app host with a server of its own.
ALONE: dict[str, Any] = {
    "inventory_hostname": "app1",
    "postgresql_admin_user": "",
    "postgresql_diagnosis_user": "shop_diagnosis",
    "postgresql_has_diagnosis_password": False,
    "postgresql_idle_in_transaction_timeout": 60,
    "postgresql_listen_addresses": ["localhost"],
    "postgresql_lock_timeout": 10,
    "postgresql_owner": "shop_owner",
    "postgresql_preload_libraries": ["pg_stat_statements"],
    "postgresql_settings": {},
    "postgresql_statement_timeout": 60,
    "postgresql_tls_certificate": "",
    "service_address": "10.0.0.11",
    "service_database_ca": "",
    "service_database_ca_file": "",
    "service_database_clients": {},
    "service_database_enabled": True,
    "service_database_host": "127.0.0.1",
    "service_database_is_local": True,
    "service_database_max_connections": 100,
    "service_database_name": "shop",
    "service_database_port": 5432,
    "service_database_server": "",
    "service_database_tls": "",
    "service_database_user": "shop",
    "service_is_external": False,
    "service_monitor": "",
    "service_name": "shop",
    "service_plan": {
        "database_settings": {"shared_buffers": "1GB", "max_connections": 50},
        "instances": 4,
        "hosts": 2,
        "pool_max": 5,
        "generations": 2,
        "service_connections": 42,
        "diagnosis_connections": 3,
    },
    "service_runs_here": True,
    "service_user": "shop",
}
SOCKET = {"service_database_host": "/run/postgresql"}
# An app host of the database host, that host, and one that is both.
CLIENT = {
    "service_database_ca": "/srv/shop/config/database-ca.pem",
    "service_database_host": "10.0.0.31",
    "service_database_is_local": False,
    "service_database_server": "db",
    "service_database_tls": "verify-full",
}
BOTH = {"service_database_clients": {"app2": "app2.test", "app3": "fd00::13", "app4": "app2.test"}}
SERVER = {**BOTH, "inventory_hostname": "db", "service_address": "10.0.0.31", "service_runs_here": False}
# Of somebody else, as a superuser or without one.
PROVIDER = {
    "service_database_ca": "/etc/ssl/certs/ca-certificates.crt",
    "service_database_host": "db.test",
    "service_database_is_local": False,
    "service_database_tls": "verify-full",
}
ADMIN = {**PROVIDER, "postgresql_admin_user": "admin"}
LOOPBACK = ["host shop shop 127.0.0.1/32 scram-sha-256", "host shop shop ::1/128 scram-sha-256"]


def postgresql(**variables: Any) -> Postgresql:
    return Postgresql({**ALONE, **variables}.__getitem__)


@pytest.mark.parametrize(
    ("variables", "packages"),
    [
        ({}, ["acl", "postgresql", "python3-psycopg"]),
        (CLIENT, ["postgresql-client", "python3-psycopg"]),
        (SERVER, ["acl", "postgresql", "python3-psycopg", "python3-cryptography"]),
        (PROVIDER, ["postgresql-client", "python3-psycopg", "ca-certificates"]),
    ],
    ids=["alone", "client", "server", "provider"],
)
def test_packages_are_those_of_the_hosts_part(variables: dict[str, Any], packages: list[str]) -> None:
    assert postgresql(**variables).packages == packages


@pytest.mark.parametrize(
    ("variables", "administers", "login"),
    [
        ({}, True, {"login_unix_socket": "/run/postgresql", "login_user": "postgres", "login_db": "postgres"}),
        (
            CLIENT,
            False,
            {
                "login_host": "10.0.0.31",
                "login_user": "shop",
                "login_db": "shop",
                "ssl_mode": "verify-full",
                "ca_cert": "/srv/shop/config/database-ca.pem",
            },
        ),
        (
            {**PROVIDER, "service_database_tls": "", "service_database_ca": ""},
            False,
            {"login_host": "db.test", "login_user": "shop", "login_db": "shop"},
        ),
        (
            ADMIN,
            True,
            {
                "login_host": "db.test",
                "login_user": "admin",
                "login_db": "postgres",
                "ssl_mode": "verify-full",
                "ca_cert": "/etc/ssl/certs/ca-certificates.crt",
            },
        ),
    ],
    ids=["alone", "client", "provider", "superuser"],
)
def test_who_asks_the_server(variables: dict[str, Any], administers: bool, login: dict[str, Any]) -> None:
    site = postgresql(**variables)
    assert site.administers is administers
    assert site.owner == ("shop_owner" if administers else "")
    assert site.login == {**login, "login_port": 5432}


def test_the_pools_are_asked_for_where_the_service_runs() -> None:
    numbers = {"instances": 4, "hosts": 2, "pool_max": 5, "overlap": 2}
    assert postgresql().consumers == [{"name": "shop", "role": "shop", "database": "shop", **numbers}]
    assert postgresql(**SERVER).consumers == []


def test_the_administrators_sessions_alone_have_its_power() -> None:
    assert postgresql().owner_login == {
        "login_unix_socket": "/run/postgresql",
        "login_port": 5432,
        "login_user": "shop",
    }
    assert (postgresql(**ADMIN).admin_login["login_user"], postgresql(**ADMIN).owner_login["login_user"]) == (
        "admin",
        "shop",
    )


@pytest.mark.parametrize("foreign", [{"service_is_external": True}, {"service_database_server": "db"}])
def test_a_superuser_is_not_asked_of_a_host_of_the_inventory_nor_of_an_existing_service(
    foreign: dict[str, Any],
) -> None:
    """Its database may let in others, whose right to connect would be taken."""
    assert not postgresql(**ADMIN, **foreign).administers


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({}, LOOPBACK),
        (SOCKET, []),
        ({"service_monitor": "mon"}, ["local postgres prometheus peer", *LOOPBACK]),
        (
            SERVER,
            [
                "hostssl shop shop 10.0.0.12/32 scram-sha-256",
                "hostssl shop shop fd00::12/128 scram-sha-256",
                "hostssl shop shop fd00::13/128 scram-sha-256",
            ],
        ),
        (
            {**BOTH, "postgresql_has_diagnosis_password": "yes"},
            [
                "hostssl shop shop 10.0.0.12/32 scram-sha-256",
                "hostssl shop shop_diagnosis 10.0.0.12/32 scram-sha-256",
                "hostssl shop shop fd00::12/128 scram-sha-256",
                "hostssl shop shop_diagnosis fd00::12/128 scram-sha-256",
                "hostssl shop shop fd00::13/128 scram-sha-256",
                "hostssl shop shop_diagnosis fd00::13/128 scram-sha-256",
                *LOOPBACK,
            ],
        ),
    ],
    ids=["alone", "socket", "monitored", "server", "both"],
)
def test_who_gets_in(variables: dict[str, Any], lines: list[str]) -> None:
    """Over the socket root is the service's role, and the diagnosis role the service's user."""
    site = postgresql(**variables)
    looked_up = ["fd00::12", "10.0.0.12"] if site.client_names else []
    assert for_each_client(site.access, [*site.client_addresses, *looked_up]).split("\n") == [
        "local all postgres peer",
        *lines,
        "local shop shop,shop_diagnosis peer map=shop",
    ]


@pytest.mark.parametrize(
    ("variables", "identities"),
    [
        ({}, "shop shop shop_diagnosis\nshop root shop"),
        (SOCKET, "shop shop shop_diagnosis\nshop shop shop\nshop root shop"),
        (SERVER, "shop shop shop_diagnosis\nshop root shop"),
    ],
    ids=["alone", "socket", "server"],
)
def test_who_is_which_role_at_the_socket(variables: dict[str, Any], identities: str) -> None:
    assert postgresql(**variables).identities == identities


def test_names_of_clients_are_looked_up_once() -> None:
    site = postgresql(**SERVER)
    assert (site.client_names, site.client_addresses) == (["app2.test"], ["fd00::13"])


def test_a_server_of_others_listens_for_them_over_tls() -> None:
    site = postgresql(**SERVER)
    assert site.settings["listen_addresses"] == "localhost,10.0.0.31"
    assert site.settings["ssl_cert_file"] == site.certificate_files[0] == f"{site.certificate_directory}/server.pem"
    alone = postgresql()
    assert (alone.settings["listen_addresses"], alone.certificate_files) == ("localhost", [])
    assert not [name for name in alone.settings if name.startswith("ssl")]
    everywhere = postgresql(**SERVER, postgresql_listen_addresses=["*"])
    assert everywhere.settings["listen_addresses"] == "*"


def test_of_settings_the_users_win_over_the_roles_and_these_over_the_plans() -> None:
    found = postgresql(postgresql_settings={"work_mem": "8MB", "password_encryption": "md5"}).settings
    assert (found["shared_buffers"], found["max_connections"], found["work_mem"]) == ("1GB", 100, "8MB")
    assert found["password_encryption"] == "md5"
    assert found["pg_stat_statements.track_utility"] == "off"
    assert "pg_stat_statements.track_utility" not in postgresql(postgresql_preload_libraries=[]).settings


@pytest.mark.parametrize(("given", "names"), [("", ["10.0.0.31", "db"]), ("-----BEGIN", ["10.0.0.31"])])
def test_a_given_certificate_need_not_be_for_the_inventorys_name(given: str, names: list[str]) -> None:
    assert postgresql(**SERVER, postgresql_tls_certificate=given).certificate_names == names


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["shop_owner", "shop", "shop_diagnosis"]),
        ({"service_monitor": "mon"}, ["shop_owner", "shop", "shop_diagnosis", "prometheus"]),
        (ADMIN, ["shop_owner", "shop"]),
        ({**ADMIN, "postgresql_has_diagnosis_password": True}, ["shop_owner", "shop", "shop_diagnosis"]),
    ],
    ids=["alone", "monitored", "no password", "password"],
)
def test_the_diagnosis_has_a_role_where_it_can_log_in(variables: dict[str, Any], names: list[str]) -> None:
    site = postgresql(**variables)
    assert site.role_names == names
    has_diagnosis = "shop_diagnosis" in names
    assert site.diagnosis_role == ("shop_diagnosis" if has_diagnosis else "")
    assert bool(site.diagnosis_login) is has_diagnosis
    assert [right["privs"] for right in site.rights if right["role"] == "shop_diagnosis"] == [
        ["CONNECT"]
    ] * has_diagnosis


def test_roles_have_the_plans_shares_of_the_connections_and_limits_in_seconds() -> None:
    _owner, service, diagnosis = postgresql(postgresql_statement_timeout="0").roles
    assert (service["connections"], diagnosis["connections"]) == (42, 3)
    assert service["configuration"]["statement_timeout"] == "0s"
    assert service["configuration"]["lock_timeout"] == "10s"


def test_the_diagnosis_login_is_as_libpq_knows_it_and_without_what_is_empty() -> None:
    socket = {"host": "/run/postgresql", "port": 5432, "user": "shop_diagnosis", "dbname": "shop"}
    assert postgresql().diagnosis_login == socket
    elsewhere = postgresql(**CLIENT, postgresql_has_diagnosis_password=True).diagnosis_login
    assert (elsewhere["host"], elsewhere["sslmode"]) == ("10.0.0.31", "verify-full")
    assert postgresql(service_database_enabled="no").diagnosis_login == {}


@pytest.mark.parametrize(
    ("tls", "file"), [("", ""), ("require", ""), ("verify-full", "ca.pem")], ids=["plain", "unverified", "verified"]
)
def test_an_authority_is_read_where_it_is_looked_at(tls: str, file: str) -> None:
    given = {**PROVIDER, "service_database_tls": tls, "service_database_ca_file": "ca.pem"}
    assert postgresql(**given).authority_file == file


def test_the_database_host_is_named_to_whom_it_does_not_let_in() -> None:
    assert postgresql(**CLIENT).advice.startswith("db lets in the app hosts by service_address")
    assert postgresql(**PROVIDER).advice == ""
    assert (postgresql(**CLIENT).has_fleet, postgresql(**SERVER).has_fleet, postgresql().has_fleet) == (
        True,
        True,
        False,
    )
