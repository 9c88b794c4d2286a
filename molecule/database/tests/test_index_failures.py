# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a build: it is said, nothing is broken by it, and the next run goes on."""

from __future__ import annotations

import pytest
from own_postgresql import TINY, Postgres, ended, standby_of
from testinfra.host import Host

WANTED = [{"name": "orders_a", "table": "orders", "columns": ["a"]}]
AS_DECLARED = {"orders_a": "btree (a)"}
SOON = {"build_timeout": 2, "lock_timeout": 0.3, "retries": 1}
# The network between the module and the server.
FORWARDER = """
import socket, threading

def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)

entry = socket.create_server(("127.0.0.1", {PORT} - 10))
while True:
    here = entry.accept()[0]
    there = socket.create_connection(("127.0.0.1", {PORT}))
    for ends in ((here, there), (there, here)):
        threading.Thread(target=pump, args=ends, daemon=True).start()
"""


@pytest.fixture(autouse=True)
def orders(postgres: Postgres) -> None:
    """A table with two rows that are equal in b, and a wrong index of the declared name."""
    postgres.file(
        "DROP TABLE IF EXISTS orders, elsewhere;"
        "CREATE TABLE orders (a int, b int, c text); CREATE TABLE elsewhere (a int);"
        "INSERT INTO orders SELECT k, k / 2, repeat(md5(k::text), 4) FROM generate_series(1, 20000) k;"
        "CREATE INDEX orders_a ON orders (a DESC);"
    )


BEFORE = {"orders_a": "btree (a DESC)"}


def repaired(postgres: Postgres) -> None:
    """The next run, after which only the declared index is there."""
    assert postgres.converge(WANTED).result["changed"]
    assert postgres.definitions("orders") == AS_DECLARED


def test_equal_rows_under_unique_are_named_and_the_other_indexes_are_made(postgres: Postgres) -> None:
    unique = {"name": "orders_b", "table": "orders", "columns": ["b"], "unique": True}
    failed = postgres.converge([unique, *WANTED], fails=True)
    assert "rows are equal that must not be: Key (b)=" in failed.message
    assert "The table is as before." in failed.message
    assert failed.actions == {"orders_b": "failed", "orders_a": "replace"}
    assert postgres.definitions("orders") == AS_DECLARED
    postgres.sql("DELETE FROM orders WHERE a % 2 = 1")
    assert postgres.converge([unique, *WANTED]).actions == {"orders_b": "create", "orders_a": "none"}


def test_an_old_snapshot_keeps_a_build_waiting_until_its_limit(postgres: Postgres) -> None:
    with postgres.holding("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM elsewhere;", "reporter"):
        failed = postgres.converge(WANTED, fails=True, **SOON)
        assert "took longer than build_timeout (2 s)" in failed.message
        assert "postgres, reporter, idle in transaction, since" in failed.message
        assert "The table is as before." in failed.message
        assert postgres.definitions("orders") == BEFORE
    repaired(postgres)


def test_a_long_writer_is_named_and_what_he_keeps_from_being_removed_is_removed_by_the_next_run(
    postgres: Postgres,
) -> None:
    with postgres.holding("UPDATE orders SET b = 0 WHERE a = 1;", "writer"):
        failed = postgres.converge(WANTED, fails=True, **SOON)
        assert "postgres, writer, idle in transaction, since" in failed.message
        assert "could not be removed now" in failed.message
        left = postgres.definitions("orders")
        assert left.pop("orders_a") == BEFORE["orders_a"]
        assert [text[:7] for text in left.values()] == ["INVALID"]
        told = postgres.info().result["invalid"]
        assert [found["origin"] for found in told] == ["a run of postgresql_index that was cut short"]
    repaired(postgres)


def test_a_table_that_somebody_has_locked_is_not_waited_for(postgres: Postgres) -> None:
    with postgres.holding("LOCK TABLE orders;", "migration"):
        failed = postgres.converge(WANTED, fails=True, **SOON)
        assert "lock_timeout (0.3 s, 2 times)" in failed.message
        assert "postgres, migration, idle in transaction, since" in failed.message
    assert postgres.definitions("orders") == BEFORE
    repaired(postgres)


@pytest.mark.parametrize("end", ["the module is killed", "the backend is terminated", "the server is restarted"])
def test_a_build_that_is_cut_short_is_finished_by_the_next_run(host: Host, postgres: Postgres, end: str) -> None:
    with postgres.holding("UPDATE orders SET b = 0 WHERE a = 1;", "writer"):
        running = postgres.start(WANTED)
        postgres.wait_for_build()
        if end == "the module is killed":
            host.check_output("kill -9 $(pgrep -u postgres python3)")
        elif end == "the backend is terminated":
            postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
        else:
            host.check_output(f"systemctl restart postgresql@{postgres.version}-indextest")
        output, _none = running.communicate(timeout=60)
        assert running.returncode != 0, output
        if end == "the backend is terminated":
            assert "the server ended the session" in output
        postgres.wait_for("SELECT count(*) = 0 FROM pg_stat_progress_create_index", limit=10)
        assert postgres.definitions("orders")["orders_a"] == BEFORE["orders_a"]
    repaired(postgres)


def test_an_index_that_somebody_renamed_during_the_build_is_left_alone(postgres: Postgres) -> None:
    with postgres.holding("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM elsewhere;", "reporter"):
        running = postgres.start(WANTED)
        postgres.wait_for_build()
        postgres.sql("ALTER INDEX orders_a RENAME TO somebodys")
    failed = ended(running, fails=True)
    assert "was changed by somebody else meanwhile" in failed.message
    assert postgres.definitions("orders") == {"somebodys": BEFORE["orders_a"]}
    assert postgres.converge(WANTED).actions == {"orders_a": "create"}


def test_a_lost_connection_is_said_and_the_server_gives_the_build_up(host: Host, postgres: Postgres) -> None:
    postgres.sql("ALTER ROLE postgres PASSWORD 'of-the-test'")
    host.check_output(
        "systemd-run --quiet --collect --unit=indextest-network python3 -c %s", FORWARDER.format(PORT=postgres.port)
    )
    way = {"login_host": "127.0.0.1", "login_port": postgres.port - 10, "login_password": "of-the-test"}
    with postgres.holding("UPDATE orders SET b = 0 WHERE a = 1;", "writer"):
        running = postgres.start(WANTED, **way, login_unix_socket="")
        postgres.wait_for_build()
        host.check_output("systemctl stop indextest-network")
        failed = ended(running, fails=True)
        assert "the server ended the session, or cannot be reached any more" in failed.message
        assert "could not be removed now" in failed.message
        assert "of-the-test" not in failed.output
        postgres.wait_for("SELECT count(*) = 0 FROM pg_stat_progress_create_index", limit=10)
        assert postgres.definitions("orders")["orders_a"] == BEFORE["orders_a"]
    repaired(postgres)


def test_a_full_disk_is_an_error_that_leaves_nothing(host: Host, postgres: Postgres) -> None:
    host.check_output(f"mkdir -p {TINY}/space && chown postgres: {TINY}/space && rm -f {TINY}/filler")
    host.check_output(
        f"dd if=/dev/zero of={TINY}/filler bs=64K status=none"
        f" count=$(($(df --output=avail -k {TINY} | tail -1) / 64 - 2))"
    )
    postgres.file(
        f"DROP INDEX IF EXISTS tiny; DROP TABLESPACE IF EXISTS tiny; CREATE TABLESPACE tiny LOCATION '{TINY}/space';"
    )
    big = [{"name": "orders_c", "table": "orders", "columns": ["c"], "tablespace": "tiny"}]
    failed = postgres.converge(big, fails=True)
    assert "No space left on device" in failed.message
    assert "The file system of the tablespace is full" in failed.message
    assert postgres.definitions("orders") == BEFORE
    host.check_output(f"rm {TINY}/filler")
    postgres.converge(big)
    assert postgres.sql(
        "SELECT spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE relname = 'orders_c'"
    ) == ["tiny"]
    assert not postgres.converge(big).result["changed"]
    postgres.file("DROP TABLE orders; DROP TABLESPACE tiny;")


def test_what_a_reindex_left_over_is_known_and_removed(postgres: Postgres) -> None:
    foreign = "CREATE INDEX CONCURRENTLY foreign_b ON orders (b)"
    with postgres.holding("UPDATE orders SET b = 0 WHERE a = 1;", "writer"):
        for statement in ("REINDEX INDEX CONCURRENTLY orders_a", foreign):
            postgres.file(f"SET statement_timeout = '1s';\n\\set ON_ERROR_STOP 0\n{statement};")
    assert "INVALID btree (a DESC)" in postgres.definitions("orders").values()
    told = {found["index"]: found["origin"] for found in postgres.info().result["invalid"]}
    assert told == {
        '"public"."orders_a_ccnew"': "a REINDEX CONCURRENTLY that was cut short",
        '"public"."foreign_b"': "unknown",
    }
    postgres.converge(WANTED)
    assert postgres.definitions("orders") == {**AS_DECLARED, "foreign_b": "INVALID btree (b)"}
    # declared, it is ours to repair
    declared = [{"name": "foreign_b", "table": "orders", "columns": ["b"]}]
    assert "it is INVALID" in postgres.converge(declared).result["indexes"][0]["reasons"]
    assert postgres.definitions("orders") == {**AS_DECLARED, "foreign_b": "btree (b)"}


def test_two_runs_at_once_take_turns(postgres: Postgres) -> None:
    with postgres.holding("UPDATE orders SET b = 0 WHERE a = 1;", "writer"):
        first = postgres.start(WANTED)
        postgres.wait_for_build()
        waiting = postgres.converge(WANTED, fails=True, **SOON)
        assert "another run is at the indexes of public.orders" in waiting.message
        assert "workbot.stability postgresql_index" in waiting.message
        second = postgres.start(WANTED)
    outputs = [running.communicate(timeout=60)[0] for running in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert ["| CHANGED =>" in output for output in outputs] == [True, False]
    assert postgres.definitions("orders") == AS_DECLARED


def test_a_standby_refuses_and_says_where_to_go(postgres: Postgres) -> None:
    standby = standby_of(postgres)
    failed = standby.converge(WANTED, fails=True)
    assert "read-only standby; its indexes come from the primary" in failed.message
    assert standby.info().result["statistics"]["standby"]


def test_missing_rights_are_named_before_anything_changes(postgres: Postgres) -> None:
    postgres.file(
        "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'molecule';"
        "GRANT SELECT ON orders TO guest; GRANT CREATE ON SCHEMA public TO guest;"
    )
    guest = {"login_unix_socket": "", "login_host": "127.0.0.1", "login_user": "guest", "login_password": "molecule"}
    failed = postgres.converge(WANTED, fails=True, **guest)
    assert "only the owner of public.orders may change its indexes, which is postgres" in failed.message
    postgres.sql("REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC")
    failed = postgres.converge(WANTED, fails=True, **guest)
    assert "guest may not make temporary tables in postgres" in failed.message
    assert postgres.definitions("orders") == BEFORE
    postgres.file("GRANT TEMPORARY ON DATABASE postgres TO PUBLIC; DROP OWNED BY guest; DROP ROLE guest;")


def test_bad_declarations_are_all_told_and_nothing_changes(postgres: Postgres) -> None:
    bad = [
        {"name": "x1", "table": "orders", "columns": ["nope"]},
        {"name": "x2", "table": "nowhere", "columns": ["a"]},
        {"name": "x3", "table": "orders", "columns": ["a"], "where": "c = 5"},
        {"name": "x4", "table": "orders", "columns": ["a"], "with": {"fillfactor": 1000}},
        {"name": "orders", "table": "orders", "columns": ["a"]},
    ]
    failed = postgres.converge([*WANTED, *bad], fails=True)
    assert len(failed.message.splitlines()) == len(bad)
    for said in (
        'column "nope" does not exist',
        "there is no table",
        "text = integer",
        "out of bounds",
        "the table public.orders",
    ):
        assert said in failed.message
    too_long = postgres.converge([{"name": "é" * 32, "table": "orders", "columns": ["a"]}], fails=True)
    assert "has 64 bytes, and PostgreSQL cuts names off after 63" in too_long.message
    hostile = postgres.converge(
        [{"name": "x", "table": "orders", "columns": ["a); DROP TABLE orders; --"]}], fails=True
    )
    assert "closes a parenthesis that it did not open" in hostile.message
    assert postgres.definitions("orders") == BEFORE


def test_a_partitioned_table_is_refused_with_the_statements_that_do(postgres: Postgres) -> None:
    postgres.file(
        "DROP TABLE IF EXISTS parts; CREATE TABLE parts (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5) PARTITION BY LIST (b);"
        "CREATE TABLE parts_2 PARTITION OF parts DEFAULT; CREATE TABLE parts_11 PARTITION OF parts_1 DEFAULT;"
    )
    wanted = [{"name": "parts_b", "table": "parts", "columns": ["b DESC"]}]
    failed = postgres.converge(wanted, fails=True)
    assert "public.parts is a partitioned table" in failed.message
    postgres.file("\n".join(line for line in failed.message.splitlines() if line.endswith(";")))
    assert postgres.converge(wanted).actions == {"parts_b": "none"}


def test_duplicates_and_unused_indexes_are_told(postgres: Postgres) -> None:
    postgres.file(
        "CREATE INDEX orders_again ON orders (a DESC); CREATE INDEX orders_ab ON orders (a DESC, b);"
        "ALTER TABLE orders ADD PRIMARY KEY (a);"
    )
    told = postgres.info(min_days=0).result
    assert [found["indexes"] for found in told["duplicates"]] == [['"public"."orders_a"', '"public"."orders_again"']]
    assert {found["index"]: found["by"] for found in told["covered"]}['"public"."orders_a"'] == '"public"."orders_ab"'
    assert '"public"."orders_again"' in [found["index"] for found in told["unused"]]
    assert '"public"."orders_pkey"' not in [found["index"] for found in told["unused"]]
    young = postgres.info().result
    assert young["unused"] == []
    assert not young["statistics"]["enough"]
