# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers whose backups the repository host makes, each a stanza in pgBackRest's words."""

from __future__ import annotations

import typing as t

from .inventory import Groups, Variables, address_of, has_server

_PORT = 5432


def stanzas_of(hostvars: t.Mapping[str, Variables], groups: Groups, directory: str) -> list[dict[str, t.Any]]:
    """Return a file for each, as module host_files takes it: its path, and the stanza for its template.

    A stanza has its host's name and address, and the server's port. Read from the inventory, not from the play: with
    --limit they are the same.
    """
    return [
        {
            "path": f"{directory}/{name}.conf",
            "vars": {
                "stanza": {
                    "name": name,
                    "address": address_of(name, hostvars[name]),
                    "port": int(hostvars[name].get("service_database_port") or _PORT),
                }
            },
        }
        for name in dict.fromkeys((*groups.get("database", ()), *groups.get("app", ())))
        if has_server(hostvars[name], groups, name)
    ]
