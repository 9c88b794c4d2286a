# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a play with all roles, as the capacity plan reads them: the roles' own defaults, and changes."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import Settings
from places import ROOT

_ROLES = ROOT / "roles"
_DISK = [{"mount": "/", "size_total": 100 * 1024**3}, {"mount": "/srv", "size_total": 20 * 1024**3}]
# Defaults made from other variables are left out: the plan has no part in them.
CAPACITY_DEFAULTS: dict[str, t.Any] = {
    name: value
    for role in ("service", "postgresql", "backup", "release", "pm2", "nginx", "logrotate")
    for name, value in yaml.safe_load((_ROLES / role / "defaults/main.yml").read_text(encoding="utf-8")).items()
    if "{{" not in str(value)
} | {"service_directory": "/srv/shop", "service_websocket_paths": ["/ws"]}


def capacity_settings(**changes: t.Any) -> Settings:
    """The defaults with such changes, on a disk of 20 GB."""
    return Settings({**CAPACITY_DEFAULTS, **changes}, frozenset(changes), _DISK)
