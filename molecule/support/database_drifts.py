# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of the server and the database over the months, and what no run changes."""

from __future__ import annotations

from drift_kinds import DATABASE, HBA, IDENT, LATER, PSQL, SERVER, SETTINGS, Drift, Refused, disabled, is_index, says

DATABASE_DRIFTS = {
    "settings of the server edited": Drift(
        f"sed -i -e \"s/^shared_buffers.*/shared_buffers = '64MB'/\""
        f" -e \"s/^work_mem.*/work_mem = '1MB'/\" {SETTINGS} && systemctl restart 'postgresql@*-main.service'",
        SERVER,
        "64MB",
        f"{PSQL} 'SHOW shared_buffers' | grep -vx 64MB",
    ),
    "a setting altered in the server": Drift(
        f"{PSQL} \"ALTER SYSTEM SET maintenance_work_mem = '20MB'\" && {PSQL} 'SELECT pg_reload_conf()'",
        SERVER,
        "postgresql.auto.conf",
        f"{PSQL} 'SHOW maintenance_work_mem' | grep --invert-match --line-regexp 20MB",
    ),
    "somebody else let in as the service": Drift(
        f"echo 'workbot nobody workbot' >>$(echo {IDENT})",
        SERVER,
        "workbot nobody workbot",
        f"! grep '^workbot nobody' {IDENT}",
    ),
    "PostgreSQL not started at boot": disabled("postgresql.service", SERVER),
    "access rules edited": Drift(
        f"sed -i '/^host workbot workbot ::1/d' {HBA}",
        SERVER,
        "pg_hba.conf",
        f"grep '^host workbot workbot ::1' {HBA}",
    ),
    "a role with more rights": Drift(
        f"{PSQL} 'ALTER ROLE workbot CREATEDB'",
        DATABASE,
        "role workbot has other attributes",
        says("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'workbot'", "f"),
    ),
    "a role with fewer connections": Drift(
        f"{PSQL} 'ALTER ROLE workbot CONNECTION LIMIT 50'",
        DATABASE,
        "role workbot may have 50 connections",
        says("SELECT rolconnlimit > 50 FROM pg_roles WHERE rolname = 'workbot'", "t"),
    ),
    "a role whose password expires": Drift(
        f"{PSQL} \"ALTER ROLE workbot VALID UNTIL '2099-01-01'\"",
        DATABASE,
        "role workbot has a password that expires",
        says("SELECT coalesce(rolvaliduntil, 'infinity') = 'infinity' FROM pg_roles WHERE rolname = 'workbot'", "t"),
    ),
    "another setting of a role in its database": Drift(
        f"{PSQL} \"ALTER ROLE workbot IN DATABASE workbot SET statement_timeout = '59s'\"",
        DATABASE,
        "role workbot has another statement_timeout in database workbot",
        says("SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'workbot'::regrole AND setdatabase <> 0", "0"),
    ),
    "a database with fewer connections": Drift(
        f"{PSQL} 'ALTER DATABASE workbot CONNECTION LIMIT 60'",
        DATABASE,
        "database workbot may have 60 connections",
        says("SELECT datconnlimit FROM pg_database WHERE datname = 'workbot'", "-1"),
    ),
    "settings of a role gone": Drift(
        f"{PSQL} 'ALTER ROLE workbot_diagnosis RESET ALL'",
        DATABASE,
        "role workbot_diagnosis has other settings",
        says("SELECT rolconfig IS NOT NULL FROM pg_roles WHERE rolname = 'workbot_diagnosis'", "t"),
    ),
    "a membership given": Drift(
        f"{PSQL} 'GRANT pg_monitor TO workbot_diagnosis'",
        DATABASE,
        "role workbot_diagnosis is a member of pg_monitor",
        says("SELECT count(*) FROM pg_auth_members WHERE member = 'workbot_diagnosis'::regrole", "0"),
    ),
    "a right gone": Drift(
        f"{PSQL} 'REVOKE CREATE ON SCHEMA public FROM workbot'",
        DATABASE,
        "workbot lacks rights to schema public",
        says("SELECT has_schema_privilege('workbot', 'public', 'CREATE')", "t"),
    ),
    "the right to make schemas gone": Drift(
        f"{PSQL} 'REVOKE CREATE ON DATABASE workbot FROM workbot'",
        DATABASE,
        "workbot lacks rights to database workbot",
        says("SELECT has_database_privilege('workbot', 'workbot', 'CREATE')", "t"),
    ),
    "an extension dropped": Drift(
        f"{PSQL} 'DROP EXTENSION pg_stat_statements'",
        DATABASE,
        "extension pg_stat_statements is missing",
        says("SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'", "1"),
    ),
    # check mode asks as the owner, whom only the run lets into the database again
    "an index dropped": Drift(
        f"{PSQL} 'DROP INDEX idx_conversations_robot_id'",
        "Create the indexes",
        "",
        is_index("idx_conversations_robot_id"),
    ),
    "an index invalid": Drift(
        f"{PSQL} \"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_activation_codes_status'::regclass\"",
        "Create the indexes",
        "",
        is_index("idx_activation_codes_status"),
    ),
}

TOLD = {
    "a later file of the server's": Refused(
        f"cd {LATER} && echo \"effective_cache_size = '10MB'\" >zz-molecule.conf && chmod 644 zz-molecule.conf"
        f" && {PSQL} 'SELECT pg_reload_conf()'",
        "effective_cache_size is 10MB by /etc/postgresql/",
        f"rm {LATER}/zz-molecule.conf && {PSQL} 'SELECT pg_reload_conf()'",
    ),
    "a setting of the database": Refused(
        f"{PSQL} \"ALTER DATABASE workbot SET maintenance_work_mem = '20MB'\"",
        "ALTER DATABASE workbot RESET maintenance_work_mem, or declare it in postgresql_settings",
        f"{PSQL} 'ALTER DATABASE workbot RESET maintenance_work_mem'",
    ),
    "an edited file of a release": Refused(
        "cd $(readlink -f /srv/workbot/current) && cp --preserve package.json /root/ && echo >>package.json",
        "has files that were changed after it was made: package.json. Put them back",
        "mv /root/package.json $(readlink -f /srv/workbot/current)/",
    ),
}
"""What no run changes, and a person is told of."""
