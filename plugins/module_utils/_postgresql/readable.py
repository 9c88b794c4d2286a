# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functions by which a diagnosis role reads the statistics of its database, and whether a session may use them."""

from __future__ import annotations

from .client import PgClient, quoted

SCHEMA = "workbot_stability"

# A function runs with the rights of whoever made it, and one that a superuser has not made might be anybody's code.
_USABLE = """
SELECT has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AS usable
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
WHERE n.nspname = %(schema)s AND p.proname = %(name)s AND p.pronargs = 0 AND o.rolsuper
"""


def function(client: PgClient, name: str) -> str:
    """The function as a statement calls it; empty where the database has none for this role. Raises PgError."""
    rows = client.query(_USABLE, {"schema": SCHEMA, "name": name})
    return f"{quoted(SCHEMA, name)}()" if any(row["usable"] for row in rows) else ""
