#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_admin_schema
short_description: Keep a database's extensions and its diagnosis where only superusers create
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Makes the schema C(workbot_stability), which everybody may use and only superusers create in, with the extensions.
    An extension that is there already stays where it is, and so does one whose own control file names a schema.
  - Where the service is to find what an extension brings, the database looks names up in this schema after C(public),
    unless the database has a C(search_path) of its own.
  - Makes the functions by which the diagnosis role reads the statistics of this database. C(sessions) shows what the
    sessions of this database do, of all others role and database alone; C(statements) what C(pg_stat_statements) has
    counted here.
  - Returns the C(problems), and the C(statements) that were carried out, in check mode those that would be.
  - Must log in as a superuser, whose session looks names up in C(pg_catalog) alone.
extends_documentation_fragment:
  - workbot.stability.internal
  - workbot.stability.postgresql
options:
  extensions:
    description: Extensions that the database has.
    type: list
    elements: str
    default: []
  diagnosis_role:
    description: The role that may call the functions. Empty, there are none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Create the shop's extensions
  workbot.stability.postgresql_admin_schema:
    login_db: shop
    extensions: [pg_stat_statements, pg_trgm]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.admin_schema import carry_out, plan
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    Login,
    MissingDriverError,
    PgError,
    session,
)

SPEC: dict[str, Any] = {
    **CONNECTION_OPTIONS,
    "extensions": {"type": "list", "elements": "str", "default": []},
    "diagnosis_role": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    try:
        with session(Login.of(options, "postgresql_admin_schema")) as client:
            if not client.superuser:
                module.fail_json(msg=f"login_user = {options['login_user']}: must be a superuser")
            steps = plan(client, options["extensions"], options["diagnosis_role"])
            if not module.check_mode:
                carry_out(client, steps)
    except MissingDriverError as error:
        module.fail_json(msg=str(error))
    except PgError as error:
        module.fail_json(msg=f"{options['login_db']}: {error}")
    module.exit_json(
        changed=bool(steps),
        problems=[step.problem for step in steps],
        statements=[statement for step in steps for statement in step.statements],
    )


if __name__ == "__main__":
    main()
