#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_database
short_description: A service's roles, database, rights, extensions and first tables
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Brings what a service has on a PostgreSQL server to its declaration in one call, and returns the C(problems), what
    was not as declared. In check mode nothing is changed.
  - Compares once more after a change, and fails where something is still not as declared. Runs that share a server take
    turns.
  - Logs in as a superuser for all but the tables, over the server's socket as the user of the host that has its name.
    Such a session looks names up in C(pg_catalog) alone. Without O(owner) only O(tables) are looked at.
  - Passwords are sent and kept as SCRAM-SHA-256 verifiers.
  - Extensions go to the schema C(workbot_stability), which everybody may use and only superusers create in. An
    extension that is there already stays where it is, and so does one whose own control file names a schema. Where the
    service is to find what an extension brings, the database looks names up in this schema after C(public), unless it
    has a C(search_path) of its own.
  - The diagnosis role reads the statistics of this database by functions in that schema. C(sessions) shows what the
    sessions of this database do, of all others role and database alone; C(statements) what C(pg_stat_statements) has
    counted here.
  - In check mode a host that lacks the server or the library is predicted to get all of it; what a server that does not
    run holds, and tables that only the coming access rules let the service's role see, are taken to be as declared.
extends_documentation_fragment:
  - workbot.stability.internal
  - workbot.stability.postgresql
options:
  owner:
    description: The role that owns the database, which has no connection limit of its own.
    type: str
    default: ""
  roles:
    description: Roles, each without any power over the server, and with passwords that do not expire.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      login:
        description: Whether it logs in.
        type: bool
        default: true
      configuration:
        description:
          - Settings of its sessions, in whatever database. Others that it has stay.
        type: dict
        default: {}
      member_of:
        description: The roles that it is a member of, and no others. Unset, they are not compared.
        type: list
        elements: str
      connections:
        description: How many connections it may have at a time, V(-1) for any number. Unset, that is not compared.
        type: int
  passwords:
    description:
      - Passwords by the name of the role. One that is empty or missing is not compared.
      - Apart from O(roles), since what the host logs of a call leaves such an option out as a whole; inside another
        one a secret is masked only where its representation is its text.
    type: dict
    default: {}
  rights:
    description: Rights to the database or to schemas in it.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Who has them, a role or V(PUBLIC).
        type: str
        required: true
      privs:
        description: The rights.
        type: list
        elements: str
        choices: [CONNECT, CREATE, TEMPORARY, USAGE]
        required: true
      type:
        description: To what.
        type: str
        choices: [database, schema]
        default: database
      objs:
        description: Name of the schema; of a database it is the database's own.
        type: str
      state:
        description: Whether the role has these rights, or none of them.
        type: str
        choices: [present, absent]
        default: present
  extensions:
    description: Extensions that the database has.
    type: list
    elements: str
    default: []
  diagnosis_role:
    description: The role that reads the statistics. Empty, there is none.
    type: str
    default: ""
  tables:
    description: Tables that the service does not make by itself.
    type: dict
    suboptions:
      role:
        description:
          - The role that makes them, and to which they belong. It logs in with its password, over the server's socket
            as the user that the module runs as.
        type: str
        required: true
      creates:
        description: A table or view that shows that they are there, looked up as O(tables.role) looks names up.
        type: str
        required: true
      sql:
        description: SQL that is carried out in one transaction where it is not there.
        type: str
        required: true
      access_pending:
        description: For check mode, whether the run would have changed the server's access rules before.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Create the shop's database
  workbot.stability.postgresql_database:
    login_db: shop
    owner: shop_owner
    roles:
      - {name: shop_owner, login: false}
      - {name: shop, configuration: {statement_timeout: 30s}, member_of: []}
    passwords: {shop: "{{ shop_password }}"}
    rights:
      - {role: PUBLIC, privs: [CONNECT, TEMPORARY], state: absent}
      - {role: shop, privs: [CONNECT, TEMPORARY]}
    extensions: [pg_stat_statements, pg_trgm]
"""

from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.command import effective_user
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    MAINTENANCE,
    Login,
    MissingDriverError,
    PgError,
    peer_of,
    socket_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.database import (
    DesiredDatabase,
    DesiredRight,
    DesiredRole,
    DesiredTables,
    converge_database,
    converge_tables,
)

ROLE = {
    "name": {"type": "str", "required": True},
    "login": {"type": "bool", "default": True},
    "configuration": {"type": "dict", "default": {}},
    "member_of": {"type": "list", "elements": "str"},
    "connections": {"type": "int"},
}
RIGHT = {
    "role": {"type": "str", "required": True},
    "privs": {
        "type": "list",
        "elements": "str",
        "choices": ["CONNECT", "CREATE", "TEMPORARY", "USAGE"],
        "required": True,
    },
    "type": {"type": "str", "choices": ["database", "schema"], "default": "database"},
    "objs": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
TABLES = {
    "role": {"type": "str", "required": True},
    "creates": {"type": "str", "required": True},
    "sql": {"type": "str", "required": True},
    "access_pending": {"type": "bool", "default": False},
}
SPEC: dict[str, Any] = {
    **CONNECTION_OPTIONS,
    "owner": {"type": "str", "default": ""},
    "roles": {"type": "list", "elements": "dict", "default": [], "options": ROLE},
    "passwords": {"type": "dict", "default": {}, "no_log": True},
    "rights": {"type": "list", "elements": "dict", "default": [], "options": RIGHT},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "diagnosis_role": {"type": "str", "default": ""},
    "tables": {"type": "dict", "options": TABLES},
}
APPLICATION = "workbot.stability postgresql_database"
CLUSTERS = Path("/etc/postgresql")


def desired_database(options: dict[str, Any]) -> DesiredDatabase:
    """From the options of the module."""
    passwords, name = options["passwords"], options["login_db"]
    roles = [DesiredRole(**role, password=passwords.get(role["name"]) or "") for role in options["roles"]]
    rights = [
        DesiredRight(
            right["role"],
            right["privs"],
            right["type"],
            name if right["type"] == "database" else right["objs"],
            right["state"] == "present",
        )
        for right in options["rights"]
    ]
    return DesiredDatabase(name, options["owner"], roles, rights, options["extensions"], options["diagnosis_role"])


def database(options: dict[str, Any], desired: DesiredDatabase, check_mode: bool) -> list[str]:
    """What was not as declared of all but the tables. Raises PgError, MissingDriverError."""
    server, inside = (
        Login.of({**options, "login_db": name}, APPLICATION, superuser=True) for name in (MAINTENANCE, desired.name)
    )
    try:
        with effective_user(peer_of(options)):
            return converge_database(server, inside, desired, check_mode=check_mode)
    except (PgError, MissingDriverError) as error:
        if check_mode and (isinstance(error, MissingDriverError) or is_absent(options)):
            return desired.all_missing
        if check_mode and is_stopped(options):
            return []
        raise


def tables(options: dict[str, Any], check_mode: bool, is_coming: bool, is_pending: bool) -> list[str]:
    """Whether the tables were not there. Raises PgError, MissingDriverError.

    In check mode the database may be still to come, or what lets the role in be pending.
    """
    role, elsewhere = options["tables"]["role"], bool(options["login_host"])
    desired = DesiredTables(options["tables"]["creates"], options["tables"]["sql"])
    if is_coming:
        return [desired.missing]
    password = options["passwords"].get(role) if elsewhere else ""
    own = {**options, "login_user": role, "login_password": password, "connect_params": {}}
    try:
        return converge_tables(Login.of(own, APPLICATION, own_path=True), desired, check_mode=check_mode)
    except MissingDriverError:
        if check_mode:
            return [desired.missing]
        raise
    except PgError as error:
        if check_mode and error.lost and is_pending and not elsewhere:
            return []
        raise


def is_stopped(options: dict[str, Any]) -> bool:
    """Whether the server is one of this host, and none runs."""
    socket = socket_of(options["login_port"], options["login_unix_socket"])
    return not options["login_host"] and not socket.exists()


def is_absent(options: dict[str, Any]) -> bool:
    """Whether this host is to have a server, and has none."""
    return is_stopped(options) and not any(CLUSTERS.glob("*/*/postgresql.conf"))


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options, check_mode = module.params, module.check_mode
    desired, problems = desired_database(options), []
    try:
        if options["owner"]:
            problems += database(options, desired, check_mode)
        if options["tables"]:
            is_coming = check_mode and desired.missing in problems
            is_pending = bool(problems) or options["tables"]["access_pending"]
            problems += tables(options, check_mode, is_coming, is_pending)
    except MissingDriverError as error:
        module.fail_json(msg=str(error))
    except PgError as error:
        module.fail_json(msg=f"{options['login_db']}: {error}")
    module.exit_json(
        changed=bool(problems),
        problems=problems,
        diff={
            "before_header": f"database {options['login_db']}",
            "after_header": f"database {options['login_db']}",
            "before": "".join(f"{problem}\n" for problem in problems),
            "after": "",
        },
    )


if __name__ == "__main__":
    main()
