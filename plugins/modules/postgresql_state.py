#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question for all that a role declares of a server: most runs change nothing, and then need no other."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_state
short_description: Tell what of a PostgreSQL server on this host is not as declared
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Reads files, settings, access rules, roles, rights, extensions and the schema in one call, compares them with what
    is declared, and changes nothing.
  - Asks over the server's socket as the user C(postgres). Returns whether it C(answers); where there is no server, or
    it can't be asked, that is no error, and C(problem) says why.
  - Where it answers, C(server) is what of the server's files, settings and access rules is not as declared, C(database)
    what of the roles and the database. Of the access rules C(trust) are those that let somebody in without a password,
    C(misread) those that the server does not understand. C(others) are the roles besides O(roles) and the server's
    first superuser that log in. C(unread) are files of O(files) that were written after the server has read its
    configuration, C(waiting) settings in them that only a restart changes, C(broken) those that the server does not
    understand. C(max_connections) is what the server's files give it.
requirements: [psycopg or psycopg2]
options:
  port:
    description: The server's port, by which its socket is found in C(/run/postgresql).
    type: int
    default: 5432
  max_connections:
    description: The connections that the server must have at least.
    type: int
    default: 0
  files:
    description: Files of the server's configuration.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      mode:
        description: Its mode in octal digits, where it is to be C(postgres)'s own. Unset, neither is compared.
        type: str
        default: ""
      content:
        description: All that is in it.
        type: str
      block:
        description: Text that is in it.
        type: str
      without:
        description: Regular expression that matches nothing in it, unless other roles than O(roles) log in.
        type: str
  roles:
    description: Roles, each without any power over the server.
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
        description: Settings of its sessions.
        type: dict
        default: {}
      member_of:
        description: The roles that it is a member of, and no others. Unset, they are not compared.
        type: list
        elements: str
  passwords:
    description:
      - Passwords by the name of the role, compared with the server's SCRAM-SHA-256 verifiers. One that is empty or
        missing is not compared.
      - Apart from O(roles), since what the host logs of a call leaves such an option out as a whole; inside another
        one a secret is masked only where its representation is its text.
    type: dict
    default: {}
  database:
    description: The database.
    type: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      owner:
        description: The role that owns it.
        type: str
        required: true
      extensions:
        description: Extensions that it has.
        type: list
        elements: str
        default: []
      relation:
        description: A table or view that shows that its tables are there. Without a schema it is one in C(public).
        type: str
        default: ""
      diagnosis_role:
        description: Role that reads the database's statistics, as M(workbot.stability.postgresql_admin_schema) lets it.
        type: str
        default: ""
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
"""

EXAMPLES = r"""
- name: Look at the server
  workbot.stability.postgresql_state:
    roles: [{name: shop, configuration: {statement_timeout: 30s}}]
"""

import dataclasses
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity, effective_user
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import Login, session
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.state import (
    OWNER,
    DesiredDatabase,
    DesiredFile,
    DesiredRight,
    DesiredRole,
    judge_database,
    judge_files,
    judge_owner,
    judge_roles,
    judge_server,
    read_database,
    read_owner,
    read_roles,
    read_server,
)

SOCKETS = "/run/postgresql"
FILE = {
    "path": {"type": "path", "required": True},
    "mode": {"type": "str", "default": ""},
    "content": {"type": "str"},
    "block": {"type": "str"},
    "without": {"type": "str"},
}
ROLE = {
    "name": {"type": "str", "required": True},
    "login": {"type": "bool", "default": True},
    "configuration": {"type": "dict", "default": {}},
    "member_of": {"type": "list", "elements": "str"},
}
RIGHT = {
    "role": {"type": "str", "required": True},
    "privs": {"type": "list", "elements": "str", "required": True},
    "type": {"type": "str", "choices": ["database", "schema"], "default": "database"},
    "objs": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
DATABASE = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "relation": {"type": "str", "default": ""},
    "diagnosis_role": {"type": "str", "default": ""},
    "rights": {"type": "list", "elements": "dict", "default": [], "options": RIGHT},
}
SPEC: dict[str, Any] = {
    "port": {"type": "int", "default": 5432},
    "max_connections": {"type": "int", "default": 0},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
    "roles": {"type": "list", "elements": "dict", "default": [], "options": ROLE},
    "passwords": {"type": "dict", "default": {}, "no_log": True},
    "database": {"type": "dict", "options": DATABASE},
}


def database_of(options: dict[str, Any]) -> DesiredDatabase:
    """From the option of the module."""
    name = options["name"]
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
    kept = {key: options[key] for key in ("owner", "extensions", "relation", "diagnosis_role")}
    return DesiredDatabase(name, rights=rights, **kept)


def login(port: int, database: str) -> Login:
    """The administrator's way in, over the socket."""
    parameters = {"host": SOCKETS, "port": port, "user": OWNER, "dbname": database, "connect_timeout": 10}
    return Login(parameters, application="postgresql_state")


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Read and judge; the module's result. Raises PgError, OSError."""
    port = params["port"]
    files = [DesiredFile(**options) for options in params["files"]]
    passwords = params["passwords"]
    roles = [DesiredRole(**options, password=passwords.get(options["name"], "")) for options in params["roles"]]
    database = database_of(params["database"]) if params["database"] else None
    with session(login(port, "postgres")) as client:
        reading = read_server(client, [file.path for file in files], [role.name for role in roles])
        missing = list(judge_roles(roles, read_roles(client, [role.name for role in roles])))
        if database:
            missing += judge_owner(database, read_owner(client, database.name))
    if database and not missing:
        with session(login(port, database.name)) as client:
            missing += judge_database(database, read_database(client, database))
    server = [*judge_files(files, reading.others), *judge_server(reading, params["max_connections"])]
    return {"server": server, "database": missing, **dataclasses.asdict(reading)}


def answer(params: dict[str, Any]) -> dict[str, Any]:
    """Ask, if there is somebody to be asked."""
    if not Path(f"{SOCKETS}/.s.PGSQL.{params['port']}").exists():
        return {"answers": False, "problem": f"no server listens at port {params['port']} in {SOCKETS}"}
    try:
        administrator = Identity.of(OWNER)
    except KeyError:
        return {"answers": False, "problem": f"the host has no user {OWNER}"}
    try:
        # The server knows its administrator by the user.
        with effective_user(administrator):
            return {"answers": True, "problem": "", **check(params)}
    except (StabilityError, OSError) as error:
        return {"answers": False, "problem": str(error)}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.exit_json(changed=False, **answer(module.params))


if __name__ == "__main__":
    main()
