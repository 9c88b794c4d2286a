#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_index
short_description: Brings indexes of a PostgreSQL database to their declarations, without blocking writes
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Compares every declared index with the one of that name, attribute by attribute, in the form in which the server
    stores it. The server itself gives the form of the declaration, from an empty temporary copy of the table's columns.
  - A missing index is built concurrently under a name of this module's own (C(workbot_new_) and 16 digits) and gets the
    declared name when it is valid. A wrong or INVALID one is replaced the same way, and dropped concurrently after the
    names were swapped in one short transaction. There is never a moment without an index, nor one that is half built
    under the declared name.
  - What a killed run, or a C(REINDEX CONCURRENTLY) of a declared index, has left over is removed. Other INVALID indexes
    are reported by M(workbot.stability.postgresql_index_info).
  - An index that backs a constraint, is a table's replica identity, or belongs to an extension or to another table, is
    never replaced nor dropped.
  - All declarations are checked by the server before anything is changed. When a build fails, its left-over is removed
    and the message says which row, lock, right or setting was in the way. The others are still brought about.
  - Two runs at once take turns, table by table.
  - A partitioned table is refused, with the statements that would do.
attributes:
  check_mode:
    support: full
    description: Returns the exact statements. A table that is not there is expected to come earlier in the same run.
  diff_mode:
    support: full
    description: Shows the definitions.
extends_documentation_fragment: [workbot.stability.postgresql]
options:
  indexes:
    description: The indexes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the index, at most 63 bytes. It means exactly this, with capitals and blanks.
        type: str
        required: true
      table:
        description: Name of the table, or materialized view. Needed for an index that is to be there.
        type: str
      schema:
        description: Schema of the table and its index.
        type: str
        default: public
      columns:
        description:
          - Each element is the name of a column, or what stands for one in C(CREATE INDEX), such as
            V(created_at DESC) or V(lower(email\)).
          - Or it has the keys C(column) (a name, which means exactly this) or C(expression), and C(opclass),
            C(collation), C(order) (V(asc), V(desc)) and C(nulls) (V(first), V(last)).
          - Needed for an index that is to be there.
        type: list
        elements: raw
      method:
        description: Access method.
        type: str
        default: btree
      unique:
        description: Whether equal values are refused.
        type: bool
        default: false
      nulls_not_distinct:
        description: Whether nulls are equal values, from PostgreSQL 15 on.
        type: bool
        default: false
      include:
        description: Names of columns that are kept in the index besides its own.
        type: list
        elements: str
        default: []
      where:
        description: Condition of a partial index.
        type: str
        default: ""
      with:
        description: Storage parameters, such as C(fillfactor).
        type: dict
        default: {}
      tablespace:
        description: Where the index lies. Empty leaves one that is there where it is.
        type: str
        default: ""
      state:
        description: Whether the index is wanted. Only V(absent) drops one.
        type: str
        default: present
        choices: [present, absent]
  lock_timeout:
    description:
      - Seconds that the swap of two names, and the look at a table, may wait for a lock. Waiting statements keep others
        waiting behind them.
      - Builds and drops wait for other transactions without keeping anybody's reads or writes waiting, and have
        O(build_timeout) for that.
    type: float
    default: 2
  retries:
    description: How often to try again where a lock was not to be had, with pauses that grow from 0.5 to 8 seconds.
    type: int
    default: 5
  build_timeout:
    description:
      - Seconds that one build, one drop or the wait for another run may take. V(0) is no limit.
      - A long build needs a task with C(async), or a connection that stays open as long. Its progress is in the
        host's journal every 30 seconds.
    type: float
    default: 3600
notes:
  - Log in as the owner of the tables. A superuser is refused where the owner is not one, and its session looks names up
    in C(pg_catalog) alone, so that a declaration has to qualify what is in other schemas.
  - The connection must be one to the server itself. A pooler that hands a session from one transaction to the next
    breaks the lock of a run.
  - While a unique index is being built, writers of equal values are refused already, as PostgreSQL does with any
    concurrent build.
"""

EXAMPLES = r"""
- name: Make the shop's indexes
  workbot.stability.postgresql_index:
    login_db: shop
    login_user: shop
    indexes:
      - {name: orders_status, table: orders, columns: [status]}
      - {name: orders_newest, table: orders, columns: [created_at DESC], where: status <> 'done'}
      - name: customers_email
        table: customers
        columns: [lower(email)]
        unique: true
        include: [name]
      - name: products_words
        table: products
        columns: [{column: description, opclass: gin_trgm_ops}]
        method: gin
        with: {fastupdate: false}
      - {name: orders_old, state: absent}
  become: true
  become_user: shop
"""

RETURN = r"""
statements:
  description:
    - The statements that were carried out, in check mode those that would be. The names of two indexes are swapped in
      one transaction.
  type: list
  elements: str
  returned: always
  sample:
    - CREATE INDEX CONCURRENTLY "workbot_new_0011223344556677" ON public.orders USING btree ("status")
    - ALTER INDEX "public"."workbot_new_0011223344556677" RENAME TO "orders_status"
indexes:
  description:
    - Every declared index and what was done about it. C(action) is V(none), V(create), V(replace), V(drop), V(clean)
      for left-overs alone, V(failed) or V(skipped).
    - C(reasons) say why, such as the attributes that differed, with both values. C(statements) are those that this
      took, C(definition) is how the server stores it.
  type: list
  elements: dict
  returned: always
  sample:
    - schema: public
      name: orders_status
      action: none
      reasons: []
      statements: []
      definition: CREATE INDEX orders_status ON public.orders USING btree (status)
      seconds: 0.0
"""

from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import (
    CONNECTION_OPTIONS,
    Login,
    PgError,
)
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.build import Limits
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.converge import converge, report
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.desired import parse
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index.errors import explain

INDEX: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "table": {"type": "str"},
    "schema": {"type": "str", "default": "public"},
    "columns": {"type": "list", "elements": "raw"},
    "method": {"type": "str", "default": "btree"},
    "unique": {"type": "bool", "default": False},
    "nulls_not_distinct": {"type": "bool", "default": False},
    "include": {"type": "list", "elements": "str", "default": []},
    "where": {"type": "str", "default": ""},
    "with": {"type": "dict", "default": {}},
    "tablespace": {"type": "str", "default": ""},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
}
SPEC: dict[str, Any] = {
    **CONNECTION_OPTIONS,
    "indexes": {"type": "list", "elements": "dict", "required": True, "options": INDEX},
    "lock_timeout": {"type": "float", "default": 2},
    "retries": {"type": "int", "default": 5},
    "build_timeout": {"type": "float", "default": 3600},
}


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    limits = Limits(options["lock_timeout"], options["build_timeout"], options["retries"])
    login = Login.of(options, "workbot.stability postgresql_index", own_path=True)
    database = options["login_db"]
    try:
        outcomes = converge(
            login,
            parse(options["indexes"]),
            limits,
            lambda progress: module.log(f"building an index of {database}: {progress}"),
            check_mode=module.check_mode,
        )
    except PgError as error:
        module.fail_json(msg=f"{database}: {explain(error)}")
    except StabilityError as error:
        module.fail_json(msg=f"{database}: {error}")
    for warning in (warning for outcome in outcomes for warning in outcome.plan.warnings):
        module.warn(warning)
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if problems:
        module.fail_json(msg=f"{database}: " + "\n".join(problems), **report(outcomes))
    module.exit_json(**report(outcomes))


if __name__ == "__main__":
    main()
