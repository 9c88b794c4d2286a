# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The app hosts whose files the repository host keeps."""

from __future__ import annotations

import typing as t

from .inventory import Groups, Variables, is_true

_FILES = ("release_shared_directories", "release_shared_files")


def clients_of(
    hostvars: t.Mapping[str, Variables], groups: Groups, service: str, directory: str, days: int
) -> list[dict[str, t.Any]]:
    """Return a file for each, as module host_files takes it: its path, and the client for its template.

    A client has its name, and for how many days its backups are kept: `days` where its variables do not say. Read from
    the inventory, not from the play: with --limit they are the same.
    """
    return [
        {
            "path": f"{directory}/{service}.{name}.json",
            "vars": {
                "client": {
                    "name": f"{service}.{name}",
                    "files_days": int(hostvars[name].get("backup_files_days") or days),
                }
            },
        }
        for name in groups.get("app", ())
        if has_files(hostvars[name])
    ]


def has_files(variables: Variables) -> bool:
    """Whether the service there has files that outlive a release, and they are to be kept."""
    return is_true(variables.get("backup_files", True)) and any(variables.get(name) for name in _FILES)
