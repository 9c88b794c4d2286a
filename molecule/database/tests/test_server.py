# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's settings and access rules: what is not as declared is put right, and nothing else is touched."""

from __future__ import annotations

from databases import sql
from deployments import wait
from hosts import playbook
from testinfra.host import Host

PLAYBOOK = "molecule/database/database_alone.yml"
SETTINGS = "/etc/postgresql/*/main/conf.d/workbot.conf"
ACCESS = "/etc/postgresql/*/main/pg_hba.conf"
CATCH_ALL = "local all all peer"
TASK = "Configure the server, and let the service in (postgresql_settings)"


def test_debians_catch_all_goes_where_nobody_else_logs_in(host: Host) -> None:
    host.check_output(f"echo '{CATCH_ALL}' >> $(ls {ACCESS})")
    sql(host, "CREATE ROLE stranger LOGIN SUPERUSER")
    try:
        kept = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
        assert (kept.code, host.run(f"grep -x '{CATCH_ALL}' {ACCESS}").rc) == (0, 0), kept.output
    finally:
        sql(host, "DROP ROLE stranger")
    gone = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics", "--diff"))
    assert (gone.code, f"-{CATCH_ALL}" in gone.output) == (0, True), gone.output
    assert host.run(f"grep -x '{CATCH_ALL}' {ACCESS}").rc == 1


def test_a_line_that_the_server_does_not_understand_stops_the_run(host: Host) -> None:
    before = host.check_output(f"cat {ACCESS}")
    host.check_output(f"echo 'local nonsense' >> $(ls {ACCESS})")
    try:
        run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
        assert run.code != 0
        assert TASK in run.output
        assert "of its access rules: correct the file" in run.output
    finally:
        host.check_output(f"printf '%%s\\n' %s > $(ls {ACCESS})", before)
    assert wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics")).code == 0


def test_a_stopped_server_is_started(host: Host) -> None:
    host.check_output("systemctl stop 'postgresql@*-main.service'")
    predicted = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics", "--check"))
    assert (predicted.code, predicted.changed) == (0, True), predicted.output
    run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, True), run.output
    assert sql(host, "SELECT 1") == "1"


def test_the_mode_of_the_access_rules_is_put_right(host: Host) -> None:
    rules = host.check_output("ls /etc/postgresql/*/main/pg_hba.conf")
    host.check_output("chmod 0644 %s", rules)
    run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, True), run.output
    assert host.file(rules).mode == 0o640


def test_files_that_a_killed_run_left_unread_are_read(host: Host) -> None:
    postmaster = "pgrep -o -u postgres -f bin/postgres"
    before, server = sql(host, "SELECT pg_conf_load_time()"), host.check_output(postmaster)
    host.check_output(f"touch {SETTINGS}")
    run = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (run.code, run.changed) == (0, True), run.output
    assert sql(host, f"SELECT pg_conf_load_time() > '{before}'") == "t"
    assert host.check_output(postmaster) == server
    again = wait(playbook(PLAYBOOK, {}, "--skip-tags=diagnostics"))
    assert (again.code, again.changed) == (0, False), again.output
