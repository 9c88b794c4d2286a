# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's SQL role wants to be superuser, and to read what the neighbour asks the server.

Whatever name a session looks up in the schema public, and whatever runs because of the role's tables, is the role's own
code. It takes off the role that the session has taken on, makes the role superuser, and keeps a record of who ran it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks import HOSTILE, NEIGHBOUR, Attacker
from databases import PSQL
from deployments import Service, wait
from hosts import playbook
from testinfra.host import Host
from waiting import until

LITERAL = "molecule-literal-password"
CAUGHT = "CREATE TABLE caught (who text, via text); GRANT INSERT ON caught TO PUBLIC;"
# A session of the role itself gets what it asked for: only that of anybody else is worth something.
BODY = """
BEGIN
  IF session_user <> 'workbot' THEN
    BEGIN
      RESET ROLE;
      INSERT INTO public.caught VALUES (session_user, '{name}');
      ALTER ROLE workbot SUPERUSER;
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END IF;
  RETURN {answer};
END
"""
# Better matches than pg_catalog's own, for all that a session may give such a function: in PostgreSQL it is the exact
# type that counts, wherever in the search path it is.
FUNCTIONS = f"""
DO $do$
DECLARE
  types text[] := ARRAY['text', 'name', 'oid', 'integer', 'bigint', '"char"', 'regclass', 'regproc', 'varchar',
    'boolean'];
  real record; one text; two text; body text := $body${BODY}$body$;
BEGIN
  FOR real IN
    SELECT DISTINCT ON (proname, pronargs) proname, pronargs, prorettype::regtype AS returns,
      proargtypes[0]::regtype AS a, proargtypes[1]::regtype AS b
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset
      AND pronargs IN (1, 2) AND prorettype <> 'internal'::regtype AND prorettype <> 'cstring'::regtype
      AND prorettype::regtype::text !~ '^any' AND proname IN ('acldefault', 'array_to_string', 'col_description',
      'current_setting', 'format_type', 'has_database_privilege', 'has_schema_privilege', 'hashtext', 'lower',
      'obj_description', 'parse_ident', 'pg_encoding_to_char', 'pg_get_expr', 'pg_get_function_result',
      'pg_get_functiondef', 'pg_get_indexdef', 'pg_get_userbyid', 'pg_has_role', 'pg_relation_size',
      'pg_try_advisory_lock', 'quote_ident', 'quote_literal', 'shobj_description', 'to_regclass', 'to_regprocedure',
      'upper')
    ORDER BY proname, pronargs, oid
  LOOP
    FOREACH one IN ARRAY types LOOP
      FOREACH two IN ARRAY CASE real.pronargs WHEN 1 THEN ARRAY[''] ELSE types END LOOP
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', real.proname,
          concat_ws(', ', one, nullif(two, '')), real.returns,
          replace(replace(body, '{{name}}', real.proname), '{{answer}}', format('pg_catalog.%I(%s)', real.proname,
            concat_ws(', ', '$1::' || real.a, CASE WHEN two <> '' THEN '$2::' || real.b END))));
      END LOOP;
    END LOOP;
  END LOOP;
END
$do$;
"""
OPERATORS = f"""
DO $do$
DECLARE
  pair text[]; sign text; body text := $body${BODY}$body$;
BEGIN
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['text', 'name'], ['name', 'text'], ['oid', 'regclass'], ['regclass', 'oid'],
    ['"char"', 'text'], ['text', '"char"'], ['oid', 'bigint'], ['bigint', 'oid'], ['name', 'varchar'],
    ['oid', 'integer']]
  LOOP
    EXECUTE format('CREATE FUNCTION public.equal(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L', pair[1], pair[2],
      replace(replace(body, '{{name}}', 'an operator'), '{{answer}}',
        CASE WHEN pair && ARRAY['oid'] THEN '$1::oid OPERATOR(pg_catalog.=) $2::oid'
             ELSE '$1::text OPERATOR(pg_catalog.=) $2::text' END));
    EXECUTE format('CREATE OPERATOR public.= (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.equal)', pair[1], pair[2]);
  END LOOP;
END
$do$;
"""
# What runs because of a table: a trigger, and the expression of an index that the play declares.
TABLE = f"""
CREATE TABLE prize (code text);
INSERT INTO prize SELECT n::text FROM generate_series(1, 20) n;
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $body${BODY.format(name="a trigger", answer="NEW")}$body$;
CREATE TRIGGER fire BEFORE INSERT ON prize FOR EACH ROW EXECUTE FUNCTION fire();
CREATE FUNCTION folded(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
  $body${BODY.format(name="an index", answer="$1")}$body$;
CREATE VIEW pinned AS SELECT * FROM workbot_stability.sessions();
"""
# Something that a run has to put right, so that it goes through all that it declares.
DRIFT = "ALTER ROLE workbot SET lock_timeout = '1s'"
CLEAN = """
DO $do$
DECLARE each regprocedure;
BEGIN
  FOR each IN SELECT p.oid FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
    AND pg_get_userbyid(proowner) = 'workbot' LOOP
    EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', each);
  END LOOP;
END
$do$;
DROP VIEW IF EXISTS pinned;
DROP TABLE IF EXISTS prize, caught, molecule_applied;
"""
# Opens so many connections of the service's, says how many it has got and why no more, and holds them for so long.
LEAK = """
import os, sys, time, psycopg
held, refused = [], set()
for _number in range(int(sys.argv[1])):
    try:
        held.append(psycopg.connect(os.environ["DATABASE_URL"]))
    except psycopg.OperationalError as error:
        refused.add(str(error).rpartition("FATAL:")[2].strip())
print(len(held), *refused, flush=True)
time.sleep(float(sys.argv[2]))
"""
CONNECTED = 'set -a; . "$1"; exec python3 -c "$2" "$3" "$4"'
PLAYBOOK = "molecule/database/database_alone.yml"
POWERS = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"


def admin(host: Host, statement: str, database: str = HOSTILE) -> str:
    """The answer to a statement of the administrator, who falls into no trap either."""
    command = f"cd / && PGOPTIONS='-c search_path=pg_catalog' runuser -u postgres -- {PSQL} --dbname=%s --command=%s"
    return str(host.check_output(command, database, statement))


@pytest.fixture(scope="module")
def trap(host: Host, attacker: Attacker) -> Iterator[Attacker]:
    for statements in (CLEAN, CAUGHT, FUNCTIONS, OPERATORS, TABLE):
        attacker.sql(statements)
    assert int(admin(host, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")) > 1000
    yield attacker
    admin(host, "ALTER ROLE workbot NOSUPERUSER", "postgres")
    attacker.sql(CLEAN)
    apply(PLAYBOOK, "--skip-tags=diagnostics")


def apply(name: str, *options: str, **variables: Any) -> str:
    run = wait(playbook(name, variables, *options))
    assert run.code == 0, run.output
    return run.output


def nothing_won(host: Host, attacker: Attacker) -> None:
    roles = f"SELECT rolname FROM pg_roles WHERE ({POWERS}) AND oid >= 16384"
    assert admin(host, roles, "postgres") == "", "the server's roles have no power"
    assert attacker.sql("SELECT * FROM caught") == "", "no session but the role's own has run its code"
    refused = host.run(
        "cd / && runuser -u workbot -- /bin/sh -euc %s",
        f'. /srv/{HOSTILE}/config/environment; {PSQL} "$DATABASE_URL" -c "COPY (SELECT 1) TO PROGRAM \'true\'"',
    )
    assert refused.rc != 0
    # the words before it differ between versions of PostgreSQL
    assert "to COPY to or from an external program" in refused.stderr


def test_check_mode_runs_nothing_of_the_roles(host: Host, trap: Attacker) -> None:
    trap.sql(DRIFT)
    told = apply("workbot.stability.site", "--check", "--diff", "--tags=short_term")
    assert "role workbot has other" in told, "the drift was seen"
    nothing_won(host, trap)


def test_a_run_runs_nothing_of_the_roles(host: Host, trap: Attacker, tmp_path: Path) -> None:
    trap.sql(DRIFT)
    schema = tmp_path / "schema.sql"
    schema.write_text("INSERT INTO prize VALUES ('x'); CREATE TABLE molecule_applied (a int);")
    index = {"name": "idx_prize", "table": "prize", "columns": ["folded(code)"]}
    # on which a view of the role's hangs
    admin(host, "ALTER FUNCTION workbot_stability.sessions() RESET ALL")
    # whoever has been the database's owner may have left that
    admin(host, "ALTER DATABASE workbot SET role = 'workbot'", "postgres")
    try:
        apply(
            PLAYBOOK,
            "--skip-tags=diagnostics",
            postgresql_schema={"src": str(schema), "creates": "molecule_applied"},
            postgresql_indexes=[index],
        )
    finally:
        admin(host, "ALTER DATABASE workbot RESET role", "postgres")
    nothing_won(host, trap)
    guarded = "SELECT proconfig FROM pg_proc WHERE oid = 'workbot_stability.sessions()'::regprocedure"
    assert admin(host, guarded) == '{"search_path=pg_catalog, pg_temp"}'
    assert trap.sql("SELECT count(*) FROM prize") == "21"
    assert trap.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_prize'::regclass") == "t"
    assert trap.sql("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'molecule_applied'") == HOSTILE


def test_nothing_of_the_administrators_is_where_the_role_creates(host: Host) -> None:
    """Else a name that the administrator uses would be looked up beside the role's."""
    owned = (
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner = 10"
        " UNION ALL SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        " AND proowner = 10"
    )
    assert admin(host, owned) == ""
    writers = "SELECT nspname FROM pg_namespace WHERE has_schema_privilege('workbot', oid, 'CREATE') ORDER BY 1"
    assert [name for name in admin(host, writers).splitlines() if not name.startswith("pg_temp")] == ["public"]
    assert admin(host, "SELECT has_schema_privilege('pg_monitor', 'public', 'CREATE')") == "f"


@pytest.fixture
def asked(host: Host, neighbour: Service) -> Iterator[str]:
    """The neighbour asks the server something with a password in it, and goes on asking."""
    unit = f"molecule-{neighbour.name}-asks"
    script = f""". /srv/{NEIGHBOUR}/config/environment; exec psql -Xq "$DATABASE_URL" -c "$1" """
    statement = f"SELECT pg_sleep(300) AS molecule_{NEIGHBOUR}, '{LITERAL}'"
    host.check_output(
        "systemd-run --quiet --collect --unit=%s --uid=%s /bin/sh -euc %s asks %s", unit, NEIGHBOUR, script, statement
    )
    seen = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{NEIGHBOUR}' AND query LIKE '%{LITERAL}%'"
    deadline = time.monotonic() + 20
    while admin(host, seen, "postgres") == "0":
        assert time.monotonic() < deadline, host.run("journalctl --lines=20 --unit=%s", unit).stdout
        time.sleep(0.2)
    yield statement
    host.check_output("systemctl stop %s", unit)
    admin(
        host,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%molecule_{NEIGHBOUR}%'"
        " AND pid <> pg_backend_pid()",
        "postgres",
    )


@pytest.mark.usefixtures("asked")
def test_the_diagnosis_reads_nothing_of_the_neighbour(host: Host, attacker: Attacker) -> None:
    """The service's user is the diagnosis role by peer: whatever that may read, the service may."""
    as_diagnosis = f"{PSQL} --username=workbot_diagnosis --dbname=workbot --command="
    extension = "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_stat_statements'"
    view = f"{admin(host, extension)}.pg_stat_statements"
    functions = ("workbot_stability.sessions()", "workbot_stability.statements()")
    for source in ("pg_stat_activity", view, *functions):
        read = attacker.run(f'{as_diagnosis}"$1"', f"SELECT * FROM {source}")
        assert LITERAL not in read
        assert f"molecule_{NEIGHBOUR}" not in read
    # that the neighbour has connections is no secret: the server's limit is for all
    assert NEIGHBOUR in attacker.run(f'{as_diagnosis}"$1"', f"SELECT * FROM {functions[0]}")
    member = "SELECT count(*) FROM pg_auth_members WHERE member = 'workbot_diagnosis'::regrole"
    assert admin(host, member) == "0"
    refused = host.run(
        f"cd / && runuser -u {NEIGHBOUR} -- {PSQL} --username=workbot_diagnosis --dbname=workbot --command='SELECT 1'"
    )
    assert refused.rc != 0


def test_the_diagnosis_still_sees_its_own_service(host: Host, attacker: Attacker) -> None:
    attacker.sql("SELECT count(*) FROM robots WHERE model = 'molecule'")
    result = host.run("workbot-diagnose --json --check connections --check statements --check indexes").stdout
    for said in ("connections.budget", "statements.", "indexes"):
        assert said in result
    for said in ("hidden", "not known", "connections.role"):
        assert said not in result
    seen = attacker.run(
        f'{PSQL} --username=workbot_diagnosis --dbname=workbot --command="$1"',
        "SELECT query FROM workbot_stability.statements() WHERE role = 'workbot'",
    )
    assert "FROM robots WHERE model = $1" in seen


@pytest.fixture
def leak(host: Host, attacker: Attacker) -> Iterator[int]:
    """The hostile service has tried to open 500 connections, and holds what it got; how many its role may have."""
    unit, environment = "molecule-leak", f"/srv/{HOSTILE}/config/environment"
    limit = int(admin(host, f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{HOSTILE}'"))
    host.check_output("workbot-watchdog pause --for 10m")
    host.check_output(
        "systemd-run --quiet --collect --unit=%s --uid=%s /bin/sh -euc %s leak %s %s 500 300",
        unit, attacker.name, CONNECTED, environment, LEAK,
    )  # fmt: skip
    try:
        until("all connections were tried", lambda: "too many connections" in logged(host, unit), 60)
        yield limit
    finally:
        host.check_output("systemctl stop %s", unit)
        host.check_output("workbot-watchdog resume")


def logged(host: Host, unit: str) -> str:
    return str(host.check_output("journalctl --no-pager --output=cat --since=-5min --unit=%s", unit))


def test_a_service_that_leaks_connections_leaves_the_neighbour_all_of_its_own(
    host: Host, neighbour: Service, leak: int
) -> None:
    assert f'too many connections for role "{HOSTILE}"' in logged(host, "molecule-leak")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'"
    assert int(admin(host, sessions.format(HOSTILE), "postgres")) == leak
    free = int(
        admin(host, f"SELECT rolconnlimit - ({sessions.format(NEIGHBOUR)}) FROM pg_roles WHERE rolname = '{NEIGHBOUR}'")
    )
    opened = Attacker(host, neighbour.name).run(CONNECTED, f"/srv/{NEIGHBOUR}/config/environment", LEAK, str(free), "0")
    assert opened.split() == [str(free)]
    # the hostile one's own diagnosis is apart from its pools, and says so
    said = host.run("workbot-diagnose --json --check connections").stdout
    assert "connections.role" not in said
