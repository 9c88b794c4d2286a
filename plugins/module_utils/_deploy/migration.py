# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a migration that the database has refused for want of a right."""

from __future__ import annotations

import re

_EXTENSION = re.compile(r'permission denied to create extension "([\w-]+)"')
_DENIED = re.compile(r"\b42501\b|permission denied for |must be owner of ")


def advice(output: str) -> str:
    """A sentence for what a failed migration wrote; "" where it has another cause than SQLSTATE 42501."""
    if extension := _EXTENSION.search(output):
        return (
            f"Only a superuser creates this extension: add {extension[1]} to postgresql_extensions, and apply site.yml."
        )
    if "permission denied for database" in output:
        return (
            "The service's role may not make schemas in its database: site.yml grants that. On a server that it has no"
            " superuser of (postgresql_admin_user), its administrator does: GRANT CREATE ON DATABASE."
        )
    if _DENIED.search(output):
        return "The service's role (service_database_user) lacks a right in its database: see docs/database.md."
    return ""
