# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ecosystem file: the one declaration of what PM2 runs, read at boot and at every change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ._pm2_client import Pm2Error
from ._pm2_fields import milliseconds, text

_HEADER = "// Ansible managed: written by the module workbot.stability.pm2_app; changes made here are lost.\n"
_EXPORT = "module.exports = "


def declaration(app: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """One app as the ecosystem file states it: complete, so that the same comes of it from any caller and at boot."""
    stated = {key: value for key, value in app.items() if value is not None}
    stated["env"] = {
        **{key: environment[key] for key in ("HOME", "LANG", "PATH")},
        **{key: text(value) for key, value in (app.get("env") or {}).items()},
    }
    # an empty pattern keeps out all of the environment that the pm2 command itself happens to have
    stated.setdefault("filter_env", [""])
    if "min_uptime" in stated:
        # PM2 reads its own unit letters here, but a number leaves no doubt
        stated["min_uptime"] = milliseconds(stated["min_uptime"])
    return stated


def render(apps: Iterable[Mapping[str, Any]]) -> str:
    ordered = sorted(apps, key=lambda app: str(app["name"]))
    return f"{_HEADER}{_EXPORT}{json.dumps({'apps': ordered}, indent=2, sort_keys=True, ensure_ascii=False)};\n"


def read(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """The file's text and its apps; both empty when there is none. Refuses a file that someone else wrote."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "", []
    head, found, body = content.partition(_EXPORT)
    try:
        apps = json.loads(body.rstrip().removesuffix(";"))["apps"] if found else None
    except (ValueError, KeyError, TypeError):
        apps = None
    if not head.startswith("//") or not isinstance(apps, list):
        raise Pm2Error(f"{path} was not written by this module and would be overwritten: move it away first")
    return content, apps
