# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import client as postgresql_client
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    UNSTEERED,
    Login,
    MissingDriverError,
    PgError,
    _authority,
    literal,
    load_driver,
    quoted,
    session,
)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_driver_comes_with_the_file_so_that_processes_made_afterwards_share_it(driver: str, tmp_path: Path) -> None:
    (tmp_path / f"{driver}.py").touch()
    program = (
        f"import {postgresql_client.__name__} as client, sys; print(sys.modules[{driver!r}] is client.load_driver())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_host_without_a_driver_is_told_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_client, "_DRIVER", None)
    with pytest.raises(MissingDriverError, match="install the Debian package python3-psycopg"):
        load_driver()


def options(**given: Any) -> dict[str, Any]:
    return {name: given.get(name, option.get("default")) for name, option in CONNECTION_OPTIONS.items()}


def test_only_what_was_given_reaches_libpq() -> None:
    login = Login.of(options(login_db="shop"), "a test")
    assert login.parameters == {
        "port": 5432,
        "user": "postgres",
        "dbname": "shop",
        "sslmode": "prefer",
        "connect_timeout": 10,
    }


def test_a_host_wins_over_the_socket_and_further_parameters_over_all() -> None:
    given = options(
        login_db="shop", login_host="db1", login_unix_socket="/run/postgresql", connect_params={"sslmode": "disable"}
    )
    parameters = Login.of(given, "a test").parameters
    assert (parameters["host"], parameters["sslmode"]) == ("db1", "disable")
    assert Login.of({**given, "login_host": ""}, "a test").parameters["host"] == "/run/postgresql"


@pytest.mark.parametrize(
    ("names", "identifier"),
    [
        (("a",), '"a"'),
        (("Größe", 'quo"te;--'), '"Größe"."quo""te;--"'),
    ],
)
def test_identifiers_mean_exactly_what_was_given(names: tuple[str, ...], identifier: str) -> None:
    assert quoted(*names) == identifier


def test_a_constant_ends_where_it_is_meant_to() -> None:
    assert literal("it's; DROP") == "'it''s; DROP'"


@pytest.mark.parametrize(("sqlstate", "lost"), [("57P01", True), ("08006", True), ("57014", False), ("23505", False)])
def test_the_server_says_whether_the_session_is_gone(sqlstate: str, lost: bool) -> None:
    assert PgError("x", sqlstate).lost is lost


def test_an_authority_is_a_file_for_as_long_as_it_takes_to_connect() -> None:
    login = Login.of(options(login_db="shop", ca_cert="/missing", ca_cert_content="PEM"), "a test")
    with _authority(login.authority) as trusted:
        assert Path(trusted["sslrootcert"]).read_text() == "PEM"
    assert not Path(trusted["sslrootcert"]).exists()
    with _authority("") as trusted:
        assert trusted == {}, "then what the parameters say counts"


PINNED = "-c search_path=pg_catalog,pg_temp"


class FakeDriver:
    """Remembers how it was asked to connect, and what the session then did."""

    __name__ = "psycopg2"
    Error = RuntimeError

    def __init__(self, superuser: str, masked: bool) -> None:
        self.superuser = superuser
        self.masked = masked
        self.given: dict[str, Any] = {}
        self.statements: list[str] = []

    def connect(self, **given: Any) -> Any:
        self.given = given
        driver = self
        cursor = SimpleNamespace(
            execute=lambda statement, *_none: driver.statements.append(statement),
            fetchall=lambda: [{"rolsuper": driver.masked}],
        )
        info = SimpleNamespace(
            server_version=170000, backend_pid=1, parameter_status={"is_superuser": self.superuser}.get
        )
        return SimpleNamespace(info=info, cursor=lambda: nullcontext(cursor), close=lambda: None)


def opened(
    superuser: str, monkeypatch: pytest.MonkeyPatch, *, own_path: bool = False, masked: bool = False, **given: Any
) -> FakeDriver:
    monkeypatch.setattr(postgresql_client, "_rows_as_dictionaries", lambda _driver: {})
    driver = FakeDriver(superuser, masked)
    monkeypatch.setattr(postgresql_client, "load_driver", lambda: driver)
    with session(Login(given, own_path=own_path)) as client:
        assert client.superuser is (superuser == "on" or masked)
    return driver


def test_a_session_looks_names_up_in_pg_catalog_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened("off", monkeypatch).given["options"] == PINNED
    given = "-c search_path=public -c statement_timeout=9"
    assert opened("on", monkeypatch, options=given).given["options"] == f"{given} {PINNED}", "the last one counts"


def test_a_superuser_has_no_path_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    role = opened("off", monkeypatch, own_path=True)
    assert "options" not in role.given
    assert not any("search_path" in statement for statement in role.statements)
    assert opened("on", monkeypatch, own_path=True).statements[0] == "SET search_path = pg_catalog,pg_temp"


def test_a_superuser_whom_the_database_makes_somebody_else_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `ALTER DATABASE ... SET role`, which its owner may do."""
    statements = opened("off", monkeypatch, own_path=True, masked=True).statements
    assert statements[1:3] == ["SET ROLE NONE", "SET search_path = pg_catalog,pg_temp"]


def test_what_the_owner_of_a_database_has_set_does_not_count_for_a_superuser() -> None:
    settings = Login({"options": "-c lock_timeout=9"}, superuser=True).settings["options"]
    assert settings == f"{UNSTEERED} -c lock_timeout=9 {PINNED}"
