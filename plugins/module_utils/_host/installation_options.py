# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of module host_files, and the request that they make."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from .accounts import Account
from .directories import OPTIONS as DIRECTORY_OPTIONS
from .directories import Directory
from .errors import StabilityError
from .files import Entry, Wanted
from .installation import Request
from .units import Unit


def argument_spec() -> dict[str, Any]:
    """Return the options in Ansible's form; documented in the module."""
    path = {"type": "path", "required": True}
    name = {"type": "str", "required": True}
    attributes = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
    program = {"entry_point": name, "arguments": {"type": "dict", "default": {}}}
    file = {
        "path": path,
        "content": {"type": "str"},
        "template": {"type": "str"},
        "program": {"type": "dict", "options": program},
        "target": {"type": "str"},
        # whether there is one
        "secret": {"type": "bool", "default": False, "no_log": False},
        "check": {"type": "list", "elements": "str", "default": []},
        **attributes,
        "mode": {"type": "str", "default": "0644"},
        # masked in what the host logs of a call; see the action
        "sent": {"type": "str", "no_log": True},
        "sha256": {"type": "str"},
    }
    unit = {
        "name": name,
        "enabled": {"type": "bool", "default": True},
        "started": {"type": "bool", "default": True},
        "restart_for": {"type": "list", "elements": "path", "default": []},
    }
    account = {
        "name": name,
        "group": {"type": "str"},
        "home": {"type": "path", "default": "/nonexistent"},
        "comment": {"type": "str", "default": ""},
    }
    return {
        "accounts": _list_of(account),
        "directories": _list_of(DIRECTORY_OPTIONS),
        "files": _list_of(file),
        "removed": {"type": "list", "elements": "path", "default": []},
        "units": _list_of(unit),
        "kernel": {"type": "dict", "default": {}},
    }


def _list_of(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": dict(options)}


def request(options: Mapping[str, Any]) -> Request:
    """Return what the options ask for. Raises StabilityError."""
    return Request(
        [
            Account(item["name"], item["group"] or item["name"], item["home"], item["comment"])
            for item in options["accounts"]
        ],
        [Directory(**item) for item in options["directories"]],
        [_wanted(item) for item in options["files"]],
        options["removed"],
        [Unit(**item) for item in options["units"]],
        options["kernel"],
    )


def _wanted(item: Mapping[str, Any]) -> Wanted:
    path = item["path"]
    if item["template"] is not None or item["program"] is not None:
        raise StabilityError(f"{path}: templates and programs need the controller's half of the module")
    if item["target"] is not None:
        return Wanted(path, Entry(target=item["target"]))
    content = _content(item)
    if content is None and not item["sha256"]:
        raise StabilityError(f"{path}: one of content, template, program and target is needed")
    mode, digest = int(item["mode"], 8), item["sha256"] or ""
    entry = Entry(content, mode, item["owner"], item["group"], digest=digest, secret=item["secret"])
    return Wanted(path, entry, item["check"])


def _content(item: Mapping[str, Any]) -> bytes | None:
    if item["sent"] is not None:
        return base64.b64decode(item["sent"])
    return None if item["content"] is None else item["content"].encode()
