# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Argument specifications of the modules about indexes."""

from __future__ import annotations

from typing import Any

from .client import CONNECTION_OPTIONS

INDEX_OPTIONS: dict[str, dict[str, Any]] = {
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

MODULE_OPTIONS: dict[str, dict[str, Any]] = {
    "indexes": {"type": "list", "elements": "dict", "required": True, "options": INDEX_OPTIONS},
    "lock_timeout": {"type": "float", "default": 2},
    "retries": {"type": "int", "default": 5},
    "build_timeout": {"type": "float", "default": 3600},
    **CONNECTION_OPTIONS,
}

INFO_OPTIONS: dict[str, dict[str, Any]] = {
    "schemas": {"type": "list", "elements": "str", "default": []},
    "min_days": {"type": "float", "default": 7},
    **CONNECTION_OPTIONS,
}
