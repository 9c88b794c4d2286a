# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database as its users find it."""

from __future__ import annotations

from typing import Any

import pytest

INDEXES = {
    "idx_activation_codes_status": "(status)",
    "idx_activation_codes_expires_at": "(expires_at)",
    "idx_conversations_robot_id": "(robot_id)",
    "idx_conversations_created_at": "(created_at DESC)",
}
ENVIRONMENT = "/srv/workbot/config/environment"


def sql(host: Any, statement: str, database: str = "workbot") -> str:
    """The answer to a statement of the database's administrator."""
    psql = "cd / && runuser -u postgres -- psql --no-align --tuples-only --quiet"
    return str(host.check_output(psql + " --dbname=%s --command=%s", database, statement))


def service_sql(host: Any, statement: str, url: str = "") -> Any:
    """A statement of the service's role, logged in as the service does: over loopback, with its password."""
    # The host reads its own file: sudo writes command lines to the journal, and the password must not be in one.
    own = f'eval "$(grep ^DATABASE_URL= {ENVIRONMENT})"'
    login = 'psql --no-align --tuples-only --quiet --command=%s "${OTHER:-$DATABASE_URL}"'
    return host.run(f"{own}; OTHER=%s; {login}", url, statement)


def test_the_service_logs_in_with_its_password(host: Any) -> None:
    result = service_sql(host, "SELECT current_user || '@' || host(inet_server_addr())")
    assert result.rc == 0, result.stderr
    assert result.stdout.strip() == "workbot@127.0.0.1"


def test_without_the_password_nobody_logs_in(host: Any) -> None:
    result = service_sql(host, "SELECT 1", url="postgresql://workbot:wrong@127.0.0.1/workbot")
    assert result.rc != 0
    assert "password authentication failed" in result.stderr


def test_the_password_is_kept_as_scram(host: Any) -> None:
    assert sql(host, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'workbot'") == "t"


def test_the_role_has_no_special_rights(host: Any) -> None:
    rights = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    assert sql(host, f"SELECT {rights} FROM pg_roles WHERE rolname = 'workbot'") == "f"


def test_other_roles_stay_out_of_the_database(host: Any) -> None:
    assert sql(host, "SELECT has_database_privilege('pg_monitor', 'workbot', 'CONNECT')") == "f"


def test_the_server_listens_on_loopback_only(host: Any) -> None:
    addresses = {line for line in host.socket.get_listening_sockets() if line.endswith(":5432")}
    assert addresses
    assert addresses <= {"tcp://127.0.0.1:5432", "tcp://::1:5432"}


def test_no_setting_waits_for_a_restart(host: Any) -> None:
    assert sql(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"
    assert sql(host, "SHOW max_connections") == "100"
    assert sql(host, "SHOW password_encryption") == "scram-sha-256"


def test_statements_are_counted_and_timed(host: Any) -> None:
    sql(host, "SELECT 'molecule' AS counted_statement")
    calls = sql(
        host, "SELECT calls > 0 FROM workbot_stability.pg_stat_statements WHERE query LIKE '%AS counted_statement'"
    )
    assert calls.splitlines()[0] == "t"


def test_the_password_is_in_no_statement_that_is_kept(host: Any) -> None:
    assert (
        sql(
            host,
            "SELECT count(*) FROM workbot_stability.pg_stat_statements WHERE query ~* '(create|alter) (role|user)'",
        )
        == "0"
    )


@pytest.mark.parametrize("table", ["robots", "conversations", "activation_codes"])
def test_the_schema_belongs_to_the_service(host: Any, table: str) -> None:
    assert sql(host, f"SELECT tableowner FROM pg_tables WHERE tablename = '{table}'") == "workbot"


@pytest.mark.parametrize("name", INDEXES)
def test_each_index_is_valid_and_as_declared(host: Any, name: str) -> None:
    statement = f"SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = '{name}'::regclass"
    valid, definition = sql(host, statement).split("|", 1)
    assert valid == "t"
    assert definition.endswith(INDEXES[name])
