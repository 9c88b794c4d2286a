#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_server
short_description: Settings and access rules of Debian's PostgreSQL server on this host
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Brings a service's settings and its lines in C(pg_hba.conf) and C(pg_ident.conf) to their declaration, starts a
    server that does not run, has it read what it has not read, and restarts it for settings that need that. The values
    are checked before they are written. What the server does not take, or does not start with, is put back.
  - What C(ALTER SYSTEM) has set of O(settings) is taken back, but for a sufficient C(max_connections) and what is in
    O(alone). A later file of somebody else, C(ALTER DATABASE) and C(ALTER ROLE) that set it otherwise are warned about.
    Lines of C(pg_ident.conf) with the map O(name) that are not in O(identities) are removed. The server starts at boot.
  - Of the access rules the service's lines come first. Debian's lines that let every role into every database are
    removed where nobody but O(roles) logs in.
  - Returns the C(problems), what was not as declared, in check mode what is not; and of the time before anything was
    changed C(exists), whether Debian's cluster was there, C(answers), whether its server could be asked, and C(trust),
    the access rules that let somebody in without a password. C(told) is what it warns of.
  - In check mode a server that is missing or does not run is no error.
extends_documentation_fragment: [workbot.stability.internal]
requirements: [psycopg or psycopg2]
options:
  name:
    description: The service or the purpose, whose name the file of its settings has, and what marks its lines.
    type: str
    required: true
  version:
    description: The version of the server's packages, whose cluster C(main) is meant.
    type: str
    required: true
  port:
    description: The server's port, by which its socket is found in C(/run/postgresql).
    type: int
    default: 5432
  settings:
    description: Settings of the server, as in C(postgresql.conf).
    type: dict
    default: {}
  max_connections:
    description: The connections that the server must have at least.
    type: int
    default: 0
  access:
    description: Lines of C(pg_hba.conf). One with C({client}) is there for each of the O(clients).
    type: str
    default: ""
  clients:
    description: The addresses of other hosts that O(access) lets in.
    type: list
    elements: str
    default: []
  identities:
    description: Lines of C(pg_ident.conf).
    type: str
    default: ""
  roles:
    description: The roles that O(access) lets in.
    type: list
    elements: str
    default: []
  watched:
    description: Further files that the server must have read as they are, such as its certificate.
    type: list
    elements: path
    default: []
  restart_allowed:
    description: Whether the server may be restarted for settings that need that. Otherwise they are refused.
    type: bool
    default: true
  only_known:
    description: Whether a server that has no settings file of this O(name) is left alone.
    type: bool
    default: false
  alone:
    description: Names of O(settings) that no other of the server's files may set. One that does is an error.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Let the shop into its database
  workbot.stability.postgresql_server:
    name: shop
    version: "17"
    settings: {max_connections: 100, shared_buffers: 1GB}
    access: host shop shop 127.0.0.1/32 scram-sha-256
    identities: shop shop shop_diagnosis
    roles: [shop, shop_diagnosis]
"""

from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.access import for_each_client
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.server import Result, converge_server
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.server_state import Cluster, DesiredServer
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import marker_of

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "settings": {"type": "dict", "default": {}},
    "max_connections": {"type": "int", "default": 0},
    "access": {"type": "str", "default": ""},
    "clients": {"type": "list", "elements": "str", "default": []},
    "identities": {"type": "str", "default": ""},
    "roles": {"type": "list", "elements": "str", "default": []},
    "watched": {"type": "list", "elements": "path", "default": []},
    "restart_allowed": {"type": "bool", "default": True},
    "only_known": {"type": "bool", "default": False},
    "alone": {"type": "list", "elements": "str", "default": []},
}


def desired(options: dict[str, Any]) -> DesiredServer:
    """From the options of the module."""
    own = ("version", "port", "settings", "access", "clients")
    kept = {name: value for name, value in options.items() if name not in own}
    return DesiredServer(
        marker=marker_of(options["name"]),
        cluster=Cluster(options["version"], options["port"]),
        settings={name: text(value) for name, value in options["settings"].items()},
        access=for_each_client(options["access"], options["clients"]),
        **kept,
    )


def text(value: Any) -> str:
    """A value as postgresql.conf has it."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def report(result: Result, *, existed: bool) -> dict[str, Any]:
    """The module's result."""
    return {
        "changed": bool(result.problems),
        "problems": result.problems,
        "exists": existed,
        "answers": result.actual is not None,
        "trust": result.actual.trust if result.actual else [],
        "told": list(result.actual.overridden) if result.actual else [],
        "diff": [change.diff() for change in result.changes] + [step.diff() for step in result.units],
    }


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    server = desired(module.params)
    existed = server.cluster.configuration.is_dir()
    try:
        result = converge_server(server, check_mode=module.check_mode)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"PostgreSQL: {error}")
    found = report(result, existed=existed)
    for text in found["told"]:
        module.warn(text)
    module.exit_json(**found)


if __name__ == "__main__":
    main()
