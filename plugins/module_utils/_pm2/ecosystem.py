# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ecosystem file: the one declaration of what PM2 runs, read at boot and at every change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import Pm2Error
from .fields import account, count, milliseconds, text, watched

_HEADER = "// Ansible managed: written by the module workbot.stability.pm2_app; changes made here are lost.\n"
_EXPORT = "module.exports = "
_HIDDEN, _ANOTHER = "(hidden)", "(hidden, another one)"


def declaration(app: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """One app as the ecosystem file states it: complete, so that the same comes of it from any caller and at boot."""
    stated = {key: value for key, value in app.items() if value is not None}
    port = {"PORT": app["port"]} if app.get("port") is not None else {}
    # PM2 gives a process that runs as another user that user's home, whatever is declared
    user = account(app["uid"]) if app.get("uid") is not None else None
    home = {"HOME": user.pw_dir} if user else {}
    stated["env"] = {
        **{key: environment[key] for key in ("HOME", "LANG", "PATH")},
        **{key: text(value) for key, value in {**(app.get("env") or {}), **port, **home}.items()},
    }
    # PM2 sets it at the start, but does not change it at a reload
    stated.pop("port", None)
    if "instances" in stated:
        stated["instances"] = count(stated["instances"])
    if "watch" in stated:
        stated["watch"] = watched(stated["watch"])
    # an empty pattern keeps out all of the environment that the pm2 command itself happens to have
    stated.setdefault("filter_env", [""])
    if "min_uptime" in stated:
        # PM2 reads its own unit letters here, but a number leaves no doubt
        stated["min_uptime"] = milliseconds(stated["min_uptime"])
    return stated


def render(apps: Iterable[Mapping[str, Any]]) -> str:
    ordered = sorted(apps, key=lambda app: str(app["name"]))
    return f"{_HEADER}{_EXPORT}{json.dumps({'apps': ordered}, indent=2, sort_keys=True, ensure_ascii=False)};\n"


def shown(before: str, after: str) -> tuple[str, str]:
    """Two texts of the file as people may see them: which variables there are and which differ, never a value."""
    old, new = _parse(before), _parse(after)
    if old is None or new is None:
        return ("", "") if before == after else ("(hidden)\n", "(hidden, another)\n")
    known = {str(app["name"]): app.get("env") or {} for app in old}
    return (
        render({**app, "env": dict.fromkeys(app.get("env") or {}, _HIDDEN)} for app in old) if before else "",
        render({**app, "env": _hidden(app.get("env") or {}, known.get(str(app["name"]), {}))} for app in new),
    )


def _hidden(env: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    return {key: _HIDDEN if known.get(key, value) == value else _ANOTHER for key, value in env.items()}


def read(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """The file's text and its apps; both empty when there is none. Refuses a file that someone else wrote."""
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "", []
    apps = _parse(content)
    if apps is None:
        raise Pm2Error(f"{path} was not written by this module and would be overwritten: move it away first")
    return content, apps


def declared_instances(path: Path, name: str) -> int:
    """How many processes that app is to have; 0 where the file does not say so."""
    try:
        _content, apps = read(path)
        return next((count(app.get("instances")) for app in apps if app["name"] == name), 0)
    except (LookupError, OSError, Pm2Error, TypeError, ValueError):
        return 0


def _parse(content: str) -> list[dict[str, Any]] | None:
    """The apps of a text that render() made; None for any other text."""
    if not content:
        return []
    head, found, body = content.partition(_EXPORT)
    try:
        apps = json.loads(body.rstrip().removesuffix(";"))["apps"] if found else None
    except (ValueError, KeyError, TypeError):
        return None
    return apps if head.startswith("//") and isinstance(apps, list) else None
