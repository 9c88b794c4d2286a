# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for a service's part of a server. That the server takes it is shown on a real one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import database
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import PgError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.database import (
    DesiredDatabase,
    DesiredRight,
    DesiredRole,
    has_password,
    plan_database,
    plan_inside,
    plan_roles,
)

ROLE = {
    "name": "shop",
    "login": True,
    "powerful": False,
    "expires": False,
    "connections": -1,
    "verifier": "",
    "configuration": ["a=1", "b=2"],
    "overrides": [],
    "memberships": [],
}
NO_POWER = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"


class FakeClient:
    """Answers the questions of the plans."""

    def __init__(self, version: int = 170000, **answers: list[dict[str, Any]]) -> None:
        self.version = version
        self.answers = answers

    def query(self, statement: str, _parameters: Any = None) -> list[dict[str, Any]]:
        [found] = [name for name in ("_ROLES", "_DATABASE", "_RIGHTS") if getattr(database, name) == statement]
        return self.answers.get(found.strip("_").lower(), [])

    def verifier(self, password: str, _role: str) -> str:
        return f"SCRAM of {len(password)}"


def planned(role: DesiredRole, *, version: int = 170000, **actual: Any) -> list[tuple[str, tuple[str, ...]]]:
    client: Any = FakeClient(version, roles=[{**ROLE, **actual}])
    return [(step.problem, step.statements) for step in plan_roles(client, [role])]


def verifier(password: str, rounds: int = 4096) -> str:
    """As PostgreSQL keeps it."""
    salt = b"sixteen bytes it"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${rounds}:{parts[0]}${parts[1]}:{parts[2]}"


def test_a_password_is_known_by_its_verifier() -> None:
    assert has_password(verifier("pencil"), "pencil")
    assert has_password(verifier("pencil", 10), "pencil")
    assert not has_password(verifier("pencil"), "pencils")


@pytest.mark.parametrize(
    "text",
    ["", "md5d2f9d8f8d8f8", "SCRAM-SHA-256$x:y$z:u", "SCRAM-SHA-256$4096:%%$%%:%%", "SCRAM-SHA-1$1:YQ==$YQ==:YQ=="],
)
def test_another_verifier_is_no_ones(text: str) -> None:
    assert not has_password(text, "pencil")


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("Größe", "Größe"),
        ("Gro\u0308ße", "Größe"),
        ("a\u00a0b\u00adc", "a bc"),
        ("\u2168", "IX"),
    ],
)
def test_a_password_beyond_ascii_is_prepared_as_the_server_does(password: str, prepared: str) -> None:
    assert has_password(verifier(prepared), password)


def test_a_password_that_may_not_be_prepared_is_taken_as_it_is() -> None:
    assert has_password(verifier("\u2168\u0007"), "\u2168\u0007")


def test_roles_as_declared() -> None:
    assert planned(DesiredRole("shop")) == []
    assert planned(DesiredRole("shop", configuration={"a": "1"}, member_of=[])) == []
    assert planned(DesiredRole("shop", password="pencil"), verifier=verifier("pencil")) == []
    assert planned(DesiredRole("shop", connections=3), connections=3) == []
    assert planned(DesiredRole("shop"), connections=3) == []


@pytest.mark.parametrize(
    ("role", "actual", "problem", "statements"),
    [
        (
            DesiredRole("shop", login=False),
            {},
            "role shop has other attributes",
            [f'ALTER ROLE "shop" NOLOGIN {NO_POWER}'],
        ),
        (
            DesiredRole("shop"),
            {"powerful": True},
            "role shop has other attributes",
            [f'ALTER ROLE "shop" LOGIN {NO_POWER}'],
        ),
        (
            DesiredRole("shop", password="pencil"),
            {},
            "role shop has another password",
            ["ALTER ROLE \"shop\" PASSWORD 'SCRAM of 6'"],
        ),
        (
            DesiredRole("shop", configuration={"a": "1", "b": "it's"}),
            {},
            "role shop has other settings",
            ["ALTER ROLE \"shop\" SET \"b\" = 'it''s'"],
        ),
        (
            DesiredRole("shop", connections=3),
            {},
            "role shop may have any number of connections",
            ['ALTER ROLE "shop" CONNECTION LIMIT 3'],
        ),
        (
            DesiredRole("shop"),
            {"expires": True},
            "role shop has a password that expires",
            ["ALTER ROLE \"shop\" VALID UNTIL 'infinity'"],
        ),
        (
            DesiredRole("shop", configuration={"a": "1"}),
            {"overrides": [["till", "a"], ["till", "c"]]},
            "role shop has another a in database till",
            ['ALTER ROLE "shop" IN DATABASE "till" RESET "a"'],
        ),
        (
            DesiredRole("shop", member_of=["stats"]),
            {"memberships": [["others", "boss"]]},
            "role shop is a member of others",
            ['REVOKE "others" FROM "shop" GRANTED BY "boss" CASCADE', 'GRANT "stats" TO "shop"'],
        ),
    ],
)
def test_a_role_that_differs(role: DesiredRole, actual: dict[str, Any], problem: str, statements: list[str]) -> None:
    assert planned(role, **actual) == [(problem, tuple(statements))]


def test_before_version_16_a_membership_is_nobodys() -> None:
    role = DesiredRole("shop", member_of=[])
    assert planned(role, version=150000, memberships=[["others", "boss"]]) == [
        ("role shop is a member of others", ('REVOKE "others" FROM "shop" CASCADE',))
    ]


def test_a_new_role_comes_with_all_that_is_its_own() -> None:
    role = DesiredRole("new", password="pencil", configuration={"a": "1"}, member_of=["stats"], connections=3)
    client: Any = FakeClient()
    [step] = plan_roles(client, [role])
    assert step.problem == "role new is missing"
    assert step.statements == (
        f'CREATE ROLE "new" LOGIN {NO_POWER}',
        'ALTER ROLE "new" CONNECTION LIMIT 3',
        "ALTER ROLE \"new\" PASSWORD 'SCRAM of 6'",
        'ALTER ROLE "new" SET "a" = \'1\'',
        'GRANT "stats" TO "new"',
    )


def test_neither_a_password_nor_what_is_kept_of_it_is_in_a_representation() -> None:
    role = DesiredRole("shop", password="pencil")
    client: Any = FakeClient(roles=[ROLE])
    assert "pencil" not in repr(role)
    assert "SCRAM" not in repr(plan_roles(client, [role]))


DATABASE = DesiredDatabase(
    "shop",
    "owner",
    rights=[
        DesiredRight("PUBLIC", ["CONNECT", "TEMPORARY"], "database", "shop", present=False),
        DesiredRight("shop", ["CREATE", "USAGE"], "schema", "public"),
    ],
)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"owner": "owner", "encoding": "UTF8", "connections": -1}], []),
        (
            [],
            [
                (
                    "database shop is missing",
                    'CREATE DATABASE "shop" OWNER "owner" ENCODING \'UTF8\' TEMPLATE template0',
                )
            ],
        ),
        (
            [{"owner": "boss", "encoding": "UTF8", "connections": 1}],
            [
                ("database shop belongs to boss", 'ALTER DATABASE "shop" OWNER TO "owner"'),
                ("database shop may have 1 connections", 'ALTER DATABASE "shop" CONNECTION LIMIT -1'),
            ],
        ),
    ],
)
def test_the_database(rows: list[dict[str, Any]], told: list[tuple[str, str]]) -> None:
    client: Any = FakeClient(database=rows)
    assert [(step.problem, *step.statements) for step in plan_database(client, DATABASE)] == told


def test_an_encoding_that_nothing_changes_is_refused() -> None:
    client: Any = FakeClient(database=[{"owner": "owner", "encoding": "LATIN1"}])
    with pytest.raises(PgError, match="encoding LATIN1, which nothing changes: it must be UTF8"):
        plan_database(client, DATABASE)


def right(type_: str, name: str, role: str, what: str) -> dict[str, str]:
    return {"type": type_, "object": name, "role": role, "right": what}


def test_rights() -> None:
    client: Any = FakeClient(
        rights=[right("database", "shop", "PUBLIC", "TEMPORARY"), right("schema", "public", "shop", "USAGE")]
    )
    assert [(step.problem, *step.statements) for step in plan_inside(client, DATABASE)] == [
        (
            "PUBLIC has rights to database shop",
            'REVOKE CONNECT, TEMPORARY ON DATABASE "shop" FROM PUBLIC CASCADE',
        ),
        ("shop lacks rights to schema public", 'GRANT CREATE, USAGE ON SCHEMA "public" TO "shop"'),
    ]
    client = FakeClient(rights=[right("schema", "public", "shop", name) for name in ("CREATE", "USAGE")])
    assert plan_inside(client, DATABASE) == []
