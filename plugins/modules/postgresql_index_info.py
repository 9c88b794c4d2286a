#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_index_info
short_description: Tells which indexes a PostgreSQL database has, and which are INVALID, twice there or unused
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Reads the catalogs and the statistics. Changes nothing; what it proposes are statements.
  - An index counts as unused when the server has not scanned it since the statistics began, unless it is unique, backs
    a constraint or orders its table. Use on a standby is only known to the standby.
extends_documentation_fragment: [workbot.stability.postgresql, workbot.stability.read_only]
options:
  schemas:
    description: Schemas to look at. Empty is all but the server's own.
    type: list
    elements: str
    default: []
  min_days:
    description:
      - Nothing is called unused before the statistics are so many days old. They begin with their last reset, or else
        with the start of the server.
    type: float
    default: 7
"""

EXAMPLES = r"""
- name: Look at the shop's indexes
  workbot.stability.postgresql_index_info:
    login_db: shop
  become: true
  become_user: postgres
  register: found

- name: Require that none is INVALID or there twice
  ansible.builtin.assert:
    that: found.invalid == [] and found.duplicates == []
"""

RETURN = r"""
indexes:
  description:
    - All indexes. Each has schema, name, table, definition, unique, valid, constraint, size, scans and last_scan.
  type: list
  elements: dict
  returned: always
invalid:
  description:
    - Indexes that no query uses. Each has index, table, origin, statements, and sessions, the process ids of those that
      seem to build it.
  type: list
  elements: dict
  returned: always
duplicates:
  description:
    - Groups of the same index under several names. Each has table, indexes (the one to keep first) and statements.
  type: list
  elements: dict
  returned: always
covered:
  description: Indexes whose columns begin another one, so that they are seldom needed. Each has index, by and table.
  type: list
  elements: dict
  returned: always
unused:
  description:
    - Indexes that were never scanned. Each has index, table, size and statements.
    - Empty while RV(statistics.enough) is V(false).
  type: list
  elements: dict
  returned: always
statistics:
  description: What the judgement rests on.
  type: dict
  returned: always
  contains:
    started:
      description: When the server was started.
      type: str
    uptime_days:
      description: Days since then.
      type: float
    reset:
      description: When the statistics of the database were reset last; V(null) when they were not.
      type: str
    days:
      description: Days that the statistics certainly cover.
      type: float
    enough:
      description: Whether these are O(min_days) or more.
      type: bool
    standby:
      description: Whether this server is a standby, whose statistics are of its own queries alone.
      type: bool
"""

from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    Login,
    MissingDriverError,
    PgError,
    session,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.errors import explain
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.info import read_info

SPEC: dict[str, Any] = {
    **CONNECTION_OPTIONS,
    "schemas": {"type": "list", "elements": "str", "default": []},
    "min_days": {"type": "float", "default": 7},
}


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    try:
        with session(Login.of(options, "workbot.stability postgresql_index_info")) as client:
            told = read_info(client, options["schemas"], options["min_days"])
    except MissingDriverError as error:
        module.fail_json(msg=str(error))
    except PgError as error:
        module.fail_json(msg=f"{options['login_db']}: {explain(error)}")
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
