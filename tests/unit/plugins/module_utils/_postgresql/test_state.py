# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import state
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.state import (
    ActualDatabase,
    ActualServer,
    DesiredDatabase,
    DesiredFile,
    DesiredRight,
    DesiredRole,
    has_password,
    judge_database,
    judge_files,
    judge_owner,
    judge_roles,
    judge_server,
)

ROW = {"name": "shop", "login": True, "powerful": False, "verifier": "", "configuration": ["a=1", "b=2"], "groups": []}
AS_DECLARED = ActualServer([], [], [], "", "", 100, [])


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
    ("declared", "told"),
    [
        (DesiredRole("shop"), []),
        (DesiredRole("shop", configuration={"a": "1"}, member_of=[]), []),
        (DesiredRole("other"), ["role other is missing"]),
        (DesiredRole("shop", login=False), ["role shop has other attributes"]),
        (DesiredRole("shop", password="x"), ["role shop has another password"]),
        (DesiredRole("shop", configuration={"a": "2"}), ["role shop has other settings"]),
        (DesiredRole("shop", member_of=["stats"]), ["role shop is a member of nothing"]),
    ],
)
def test_roles(declared: DesiredRole, told: list[str]) -> None:
    assert list(judge_roles([declared], {"shop": ROW})) == told


def test_a_role_with_powers_has_other_attributes() -> None:
    assert list(judge_roles([DesiredRole("shop")], {"shop": {**ROW, "powerful": True}}))


def test_a_password_is_in_no_representation() -> None:
    assert "secret" not in repr(DesiredRole("shop", password="secret"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"unread": ["/a", "/b"]}, ["the server has not read /a, /b"]),
        ({"misread": ["line 3: x"]}, ["the server does not understand line 3: x"]),
        ({"broken": "work_mem: x"}, ["the server does not understand work_mem: x"]),
        ({"waiting": "max_wal_senders"}, ["only a restart changes max_wal_senders"]),
        ({"max_connections": 99}, ["max_connections is 99, less than 100"]),
    ],
)
def test_the_server(change: dict[str, object], told: list[str]) -> None:
    assert list(judge_server(dataclasses.replace(AS_DECLARED, **change), 100)) == told  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "pg_hba.conf"
    whole, block = DesiredFile(str(path), content="a\n"), DesiredFile(str(path), block="a\n")
    without = DesiredFile(str(path), without="^local all")
    assert list(judge_files([whole], [])) == [f"{path} is missing"]
    path.write_text("b\n")
    assert list(judge_files([whole, block, without], [])) == [
        f"{path} has another content",
        f"{path} has not the declared lines",
    ]
    path.write_text("a\nlocal all\n")
    assert list(judge_files([whole, block, without], [])) == [
        f"{path} has another content",
        f"{path} has lines that let everybody in",
    ]
    assert list(judge_files([block, without], ["stranger"])) == []


@pytest.mark.parametrize(("mode", "owner", "told"), [(0o640, "", False), (0o644, "", True), (0o640, "root", True)])
def test_owner_and_mode_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: str, told: bool
) -> None:
    path = tmp_path / "pg_hba.conf"
    path.touch()
    path.chmod(mode)
    monkeypatch.setattr(state, "user_name", lambda _uid: owner or "postgres")
    found = list(judge_files([DesiredFile(str(path), mode="0640")], []))
    assert found == ([f"{path} has another owner or mode"] if told else [])


DATABASE = DesiredDatabase(
    "shop",
    "owner",
    ["stats"],
    [
        DesiredRight("PUBLIC", ["CONNECT", "TEMPORARY"], "database", "shop", present=False),
        DesiredRight("shop", ["USAGE"], "schema", "public"),
    ],
    "robots",
)
FOUND = ActualDatabase(frozenset({("schema", "public", "shop", "USAGE")}), [], True)


def test_a_database_as_declared() -> None:
    assert list(judge_database(DATABASE, FOUND)) == []
    assert list(judge_owner(DATABASE, {"owner": "owner", "encoding": "UTF8"})) == []


def test_a_database_that_differs() -> None:
    found = ActualDatabase(
        frozenset({("database", "shop", "PUBLIC", "TEMPORARY")}), ["extension stats is missing"], False
    )
    assert list(judge_database(DATABASE, found)) == [
        "PUBLIC has rights to database shop",
        "shop lacks rights to schema public",
        "extension stats is missing",
        "robots is missing",
    ]
    assert list(judge_owner(DATABASE, None)) == ["database shop is missing"]
    assert list(judge_owner(DATABASE, {"owner": "owner", "encoding": "LATIN1"}))
