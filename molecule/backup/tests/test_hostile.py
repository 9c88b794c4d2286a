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

# The drill reads names of tables first, and then the size of each, and then looks into it: meanwhile this one becomes a view,
# with a function.
TRAP = """
SET SESSION AUTHORIZATION workbot;
SET statement_timeout = 0;
CREATE TABLE caught (who text);
CREATE FUNCTION catch() RETURNS int LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO public.caught VALUES (current_user); RETURN 1; END$$;
CREATE TABLE bait AS SELECT generate_series(1, 10000) n;
CREATE PROCEDURE await() LANGUAGE plpgsql AS
  $$BEGIN
    FOR each IN 1..1200 LOOP
      EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = 'bait'::regclass AND NOT granted);
      PERFORM pg_sleep(0.05);
    END LOOP;
  END$$;
BEGIN;
LOCK TABLE bait IN ACCESS EXCLUSIVE MODE;
CALL await();
COMMIT;
BEGIN;
LOCK TABLE bait IN ACCESS EXCLUSIVE MODE;
CALL await();
DROP TABLE bait;
CREATE VIEW bait AS SELECT catch() AS n;
COMMIT;
"""


@pytest.mark.usefixtures("made")
def test_a_table_that_becomes_a_view_runs_nothing_as_the_superuser(host: Host) -> None:
    put(host, "/run/trap.sql", TRAP)
    host.check_output("systemd-run --quiet --collect --unit=trap --uid=postgres psql -X -d workbot -f /run/trap.sql")
    try:
        deadline = time.monotonic() + 30
        while sql(host, "SELECT count(*) FROM pg_locks WHERE relation = to_regclass('bait') AND granted") == "0":
            assert time.monotonic() < deadline, "the trap is not set"
            time.sleep(0.2)
        backup(host, "drill")
        assert sql(host, "SELECT relkind FROM pg_class WHERE relname = 'bait'") == "v"
        assert sql(host, "SELECT count(*) FROM caught") == "0"
    finally:
        host.run("systemctl stop trap")
        # the view with its function; a trap that was not sprung is a table yet
        sql(host, "DROP FUNCTION IF EXISTS catch() CASCADE; DROP PROCEDURE IF EXISTS await")
        sql(host, "DROP TABLE IF EXISTS bait, caught")
