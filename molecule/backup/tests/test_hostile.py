# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that owns its database, and would like to be the superuser who looks at it."""

from __future__ import annotations

import time

import pytest
from backup import backup
from databases import sql
from hosts import put
from testinfra.host import Host

SERVICE = "SET SESSION AUTHORIZATION workbot; SET statement_timeout = 0;"
CATCH = f"""{SERVICE}
CREATE TABLE caught (who text);
CREATE FUNCTION catch() RETURNS int LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO public.caught VALUES (current_user); RETURN 1; END$$;
"""
MADE = f"""{CATCH}CREATE PROCEDURE await(number int) LANGUAGE plpgsql AS
  $$BEGIN
    FOR each IN 1..1200 LOOP
      EXIT WHEN (SELECT count(*) >= number FROM pg_locks WHERE relation = 'bait'::regclass AND NOT granted);
      PERFORM pg_sleep(0.05);
    END LOOP;
  END$$;
CREATE TABLE bait AS SELECT generate_series(1, 10000) n;
"""
# The drill reads the names of tables, then the size of each, then looks into it. At the second question it waits for
# the first of these two, at the third for the other one, who has waited behind it, and makes the name a view's.
HOLDS = f"{SERVICE} BEGIN; LOCK TABLE bait IN ACCESS EXCLUSIVE MODE; CALL await(2); COMMIT;"
SWAPS = f"""{SERVICE}
CALL await(1);
BEGIN; LOCK TABLE bait IN ACCESS EXCLUSIVE MODE; CALL await(1);
DROP TABLE bait; CREATE VIEW bait AS SELECT catch() AS n; COMMIT;
"""
# What a plan of any query of the table runs: functions of constants, in expressions and predicates of indexes and in
# statistics. As they are made it is the service who runs them.
BAITED = f"""{CATCH}CREATE FUNCTION trap(number int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  $$BEGIN PERFORM public.catch(); RETURN number; END$$;
CREATE TABLE bait AS SELECT generate_series(1, 10000) n;
CREATE INDEX ON bait ((n + trap(1)));
CREATE INDEX ON bait (n) WHERE n > trap(1);
CREATE STATISTICS baited ON (n + trap(1)), n FROM bait;
"""
# What pg_amcheck would call where the extension is in a schema of the service's: better matches than its own.
DOUBLED = f"""{SERVICE}
CREATE FUNCTION verify_heapam(relation oid, on_error_stop boolean, check_toast boolean, skip text, startblock bigint,
  endblock bigint, OUT blkno bigint, OUT offnum integer, OUT attnum integer, OUT msg text)
  RETURNS SETOF record LANGUAGE plpgsql AS $$BEGIN RAISE 'caught as %', current_user; END$$;
CREATE FUNCTION bt_index_check(index oid, heapallindexed boolean) RETURNS void LANGUAGE plpgsql AS
  $$BEGIN RAISE 'caught as %', current_user; END$$;
"""
# What the owner of a database may set for all of its sessions.
SETTINGS = {
    "role": "workbot",
    "statement_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "default_transaction_read_only": "on",
    "local_preload_libraries": "none_such",
}
PSQL = "psql -X -v ON_ERROR_STOP=1 -d workbot -f"


def lay(host: Host, name: str, script: str) -> str:
    """What carries the script out, by its path on the host."""
    put(host, f"/run/trap-{name}.sql", script.replace("; ", ";\n"))
    return f"{PSQL} /run/trap-{name}.sql"


def carry_out(host: Host, command: str) -> None:
    host.check_output(f"cd / && runuser -u postgres -- {command}")


@pytest.mark.usefixtures("made")
def test_functions_beside_amchecks_are_not_run_by_the_superuser(host: Host) -> None:
    sql(host, "CREATE EXTENSION amcheck")
    carry_out(host, lay(host, "doubled", DOUBLED))
    try:
        assert "found good" in backup(host, "drill")
    finally:
        sql(host, "DROP FUNCTION IF EXISTS verify_heapam(oid, boolean, boolean, text, bigint, bigint)")
        sql(host, "DROP FUNCTION IF EXISTS bt_index_check(oid, boolean)")
        sql(host, "DROP EXTENSION amcheck")


@pytest.mark.usefixtures("made")
def test_what_a_database_has_for_its_sessions_ends_no_drill(host: Host) -> None:
    maintenance = "cd / && runuser -u postgres -- psql -XqAt -c %s"
    try:
        for name, value in SETTINGS.items():
            host.check_output(maintenance, f"ALTER DATABASE workbot SET {name} = '{value}'")
        assert "found good" in backup(host, "drill")
    finally:
        host.check_output(maintenance, "ALTER DATABASE workbot RESET ALL")


@pytest.mark.usefixtures("made")
def test_a_row_of_a_gigabyte_is_not_read(host: Host) -> None:
    """The drill has less memory."""
    sql(host, "CREATE TABLE heavy AS SELECT repeat('x', 900000000) AS text")
    sql(host, "INSERT INTO heavy SELECT md5(n::text) FROM generate_series(1, 10000) n")
    try:
        assert "found good" in backup(host, "drill")
    finally:
        sql(host, "DROP TABLE heavy")


@pytest.mark.usefixtures("made")
def test_what_is_in_a_tables_indexes_is_not_run_by_the_superuser(host: Host) -> None:
    carry_out(host, lay(host, "baited", BAITED))
    try:
        backup(host, "drill")
        assert sql(host, "SELECT count(*) > 0 FROM caught") == "t", "the trap is not set"
        assert sql(host, "SELECT DISTINCT who FROM caught") == "workbot"
    finally:
        sql(host, "DROP TABLE IF EXISTS bait, caught; DROP FUNCTION IF EXISTS trap; DROP FUNCTION IF EXISTS catch")


@pytest.mark.usefixtures("made")
def test_a_table_that_becomes_a_view_runs_nothing_as_the_superuser(host: Host) -> None:
    holding = {name: lay(host, name, script) for name, script in {"holds": HOLDS, "swaps": SWAPS}.items()}
    carry_out(host, lay(host, "made", MADE))
    try:
        for name, command in holding.items():
            host.check_output(f"systemd-run --quiet --collect --unit=trap-{name} --uid=postgres {command}")
        deadline = time.monotonic() + 30
        while sql(host, "SELECT count(*) FROM pg_locks WHERE relation = to_regclass('bait') AND granted") == "0":
            assert time.monotonic() < deadline, "the trap is not set"
            time.sleep(0.2)
        backup(host, "drill")
        assert sql(host, "SELECT relkind FROM pg_class WHERE relname = 'bait'") == "v"
        assert sql(host, "SELECT count(*) FROM caught") == "0"
    finally:
        host.run("systemctl stop trap-holds trap-swaps")
        # the view goes with its function; a trap that was not sprung is a table yet
        sql(host, "DROP FUNCTION IF EXISTS catch() CASCADE; DROP PROCEDURE IF EXISTS await")
        sql(host, "DROP TABLE IF EXISTS bait, caught")
