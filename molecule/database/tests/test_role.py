# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what in the database, and what the playbook makes of a server that is as it should be."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from databases import diagnosis_sql, service_sql, sql
from deployments import wait
from hosts import Processes, playbook
from testinfra.host import Host

PART = "--tags=short_term,immediate"
SETTINGS = "/etc/postgresql/*/main/conf.d/workbot.conf"
POSTMASTER = "pgrep -o -u postgres -f bin/postgres"


def test_a_second_run_changes_and_restarts_nothing(service_processes: Callable[[], Processes]) -> None:
    before = service_processes()
    run = wait(playbook("workbot.stability.site", {"watchdog_enabled": False}, PART, "--diff"))
    assert (run.code, run.changed) == (0, False), run.output
    assert service_processes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP DATABASE workbot",
        "ALTER DATABASE workbot SET work_mem = 64",
        "ALTER DATABASE workbot RENAME TO other",
        "CREATE DATABASE other",
        "DROP SCHEMA public CASCADE",
        "CREATE EXTENSION pageinspect",
        "DROP EXTENSION pg_stat_statements",
        "CREATE ROLE other",
        "GRANT workbot_owner TO workbot",
        "SET ROLE workbot_owner",
        "ALTER SYSTEM SET work_mem = 64",
        "SELECT workbot_stability.pg_stat_statements_reset()",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_the_service_cannot_do_what_it_need_not(host: Host, statement: str) -> None:
    result = service_sql(host, statement)
    assert result.rc != 0, result.stdout
    refusal = "permission denied|must (be (able|owner|superuser)|have admin option)"
    assert re.search(refusal, result.stderr), result.stderr


def test_the_service_can_migrate_its_tables(host: Host) -> None:
    steps = (
        "CREATE TABLE molecule (a int)",
        "ALTER TABLE molecule ADD b text",
        "CREATE INDEX ON molecule (b)",
        "INSERT INTO molecule VALUES (1)",
        "DROP TABLE molecule",
        "CREATE SCHEMA molecule CREATE TABLE migrations (hash text)",
        "DROP SCHEMA molecule CASCADE",
    )
    for step in steps:
        result = service_sql(host, step)
        assert result.rc == 0, result.stderr


def test_the_database_belongs_to_a_role_that_nobody_logs_in_as(host: Host) -> None:
    owner = "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles r JOIN pg_database d ON d.datdba = r.oid"
    assert sql(host, f"{owner} WHERE datname = 'workbot'") == "workbot_owner|f|f"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("statement_timeout", "1min"), ("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "1min")],
)
def test_the_service_does_not_hold_up_others_for_ever(host: Host, setting: str, value: str) -> None:
    assert service_sql(host, f"SHOW {setting}").stdout.strip() == value
    assert sql(host, f"SHOW {setting}") == "0", "it is for the service alone"


def test_the_diagnosis_reads_statistics_and_nothing_else(host: Host) -> None:
    assert sql(host, "SELECT count(*) FROM pg_auth_members WHERE member = 'workbot_diagnosis'::regrole") == "0"
    # the service may have none at this moment
    host.check_output("cd / && (runuser -u postgres -- psql workbot -c 'SELECT pg_sleep(20)' >/dev/null 2>&1 &)")
    for function in ("sessions", "statements"):
        read = f"SELECT count(*) > 0 FROM workbot_stability.{function}()"
        assert diagnosis_sql(host, read).stdout.strip() == "t"
        assert "permission denied for function" in service_sql(host, read).stderr
    for statement in ("SELECT * FROM robots", "CREATE TABLE public.other (a int)", "SHOW data_directory"):
        refused = diagnosis_sql(host, statement)
        assert refused.rc != 0, statement
        assert re.search("permission denied|read-only|must be superuser", refused.stderr), refused.stderr


def test_the_server_is_sized_to_its_host(host: Host) -> None:
    host_mb = int(host.file("/proc/meminfo").content_string.split()[1]) // 1024
    size = "SELECT setting::bigint * CASE unit WHEN '8kB' THEN 8 ELSE 1 END / 1024 FROM pg_settings WHERE name = "
    shared, effective = (int(sql(host, f"{size}'{name}'")) for name in ("shared_buffers", "effective_cache_size"))
    # The plan gives PostgreSQL a quarter of the host, and its cache half of that.
    assert shared == pytest.approx(host_mb / 8, abs=1)
    assert effective == pytest.approx(host_mb / 2, abs=1)


def refusal(host: Host, settings: dict[str, str]) -> str:
    """What a run says that fails by these settings, and leaves the former ones, and no copy of theirs."""
    before = host.check_output(f"cat {SETTINGS}")
    run = wait(playbook("molecule/database/database_alone.yml", {"postgresql_settings": settings}))
    assert run.code != 0
    assert host.check_output(f"cat {SETTINGS}") == before
    assert host.check_output(f"ls $(dirname {SETTINGS})") == "workbot.conf"
    return run.output


def test_settings_that_the_server_does_not_understand_are_refused(host: Host) -> None:
    output = refusal(host, {"work_mem": "lots"})
    assert "Configure the server, and let the service in (postgresql_settings)" in output
    assert "nothing was changed: " in output
    assert "invalid value for parameter" in output


def test_settings_that_the_server_does_not_start_with_are_put_back(host: Host) -> None:
    """The value is understood; that the host has no huge pages is seen only at the start."""
    output = refusal(host, {"huge_pages": "on"})
    assert "does not start with the new settings (huge_pages)" in output
    assert "The former ones are back, and it runs" in output
    assert sql(host, "SHOW huge_pages") == "try"
    assert sql(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


def test_a_restart_that_is_not_allowed_stops_the_run(host: Host) -> None:
    postmaster, before = host.check_output(POSTMASTER), host.check_output(f"cat {SETTINGS}")
    variables = {"postgresql_restart_allowed": False, "postgresql_settings": {"max_wal_senders": 11, "work_mem": "9MB"}}
    try:
        run = wait(playbook("molecule/database/database_alone.yml", variables))
        assert run.code != 0
        assert "only a restart changes max_wal_senders, and postgresql_restart_allowed is false" in run.output
        assert host.check_output(POSTMASTER) == postmaster
        assert host.check_output(f"cat {SETTINGS}") == before, "half of what was asked for has come"
    finally:
        host.check_output(f"printf '%%s\\n' %s > $(ls {SETTINGS})", before)
    assert sql(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"
