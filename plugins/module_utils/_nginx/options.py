# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module nginx_site, and the site that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._host.errors import StabilityError
from .._host.files import Entry
from .._net.certificate import Certificate
from .ledger import Shared
from .plan import Desired
from .probe import Probe, from_url

SECRET_MODE = 0o600
_FILE: dict[str, Any] = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str", "default": ""},
    # for the action, which renders it into the content
    "template": {"type": "str"},
    "variables": {"type": "dict"},
    "mode": {"type": "str", "default": "0644"},
}
_STRINGS: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
# The fields of the site that are options as they are.
_AS_GIVEN = (
    *("name", "absent", "logs", "ports", "server_names"),
    *("disable_default_site", "limit_zones", "announce", "unchanged"),
)


def argument_spec() -> dict[str, Any]:
    return {
        "name": {"type": "str", "default": ""},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "files": _dicts(_FILE),
        "secret_files": {"type": "dict", "default": {}, "no_log": True},
        "shared_files": _dicts({**_FILE, "version": {"type": "int", "default": 1}}),
        "worker_limits": {
            "type": "dict",
            "default": {},
            "options": {
                "worker_rlimit_nofile": {"type": "int"},
                "worker_shutdown_timeout": {"type": "str"},
                "worker_connections": {"type": "int"},
            },
        },
        "absent": _STRINGS,
        "logs": _STRINGS,
        "ports": {"type": "list", "elements": "int", "default": []},
        "server_names": _STRINGS,
        "disable_default_site": {"type": "bool", "default": False},
        "certificates": _dicts(
            {
                "certificate": {"type": "str", "required": True},
                # a path, not the key itself
                "key": {"type": "str", "required": True, "no_log": False},
                "names": _STRINGS,
                "valid_days_left": {"type": "float", "default": 0},
                "made_by_play": {"type": "bool", "default": False},
            }
        ),
        "probes": _dicts(
            {
                "url": {"type": "str"},
                "address": {"type": "str"},
                "port": {"type": "int"},
                "host": {"type": "str"},
                "path": {"type": "str"},
                "scheme": {"type": "str", "choices": ["http", "https"]},
                "tls": {"type": "bool"},
                "expect_status": {"type": "list", "elements": "int", "default": [200]},
                "websocket": {"type": "bool", "default": False},
                "certificate_chain": {"type": "str", "default": ""},
                "if_healthy": {"type": "bool", "default": False},
                "timeout": {"type": "float", "default": 5},
            }
        ),
        "limit_zones": _STRINGS,
        "announce": {"type": "float", "default": 0},
        "read": _STRINGS,
        "unchanged": {"type": "dict", "default": {}},
    }


def _dicts(options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "default": [], "options": options}


def desired(given: Mapping[str, Any]) -> Desired:
    """The site; StabilityError for a mode that is none, a path that is there twice, a URL that is none."""
    files = [*given["files"], *given["shared_files"]]
    paths = [*(file["path"] for file in files), *given["secret_files"]]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise StabilityError(f"files, secret_files, shared_files: {', '.join(twice)} is there twice.")
    secrets = {
        path: Entry(str(text).encode(), SECRET_MODE, secret=True) for path, text in given["secret_files"].items()
    }
    return Desired(
        **{name: given[name] for name in _AS_GIVEN},
        files={**{file["path"]: _entry(file) for file in given["files"]}, **secrets},
        shared={file["path"]: Shared(_entry(file), file["version"]) for file in given["shared_files"]},
        worker_limits={name: str(value) for name, value in given["worker_limits"].items() if value},
        remove=given["state"] == "absent",
        certificates=[Certificate(**{**one, "names": tuple(one["names"])}) for one in given["certificates"]],
        probes=[_probe(one) for one in given["probes"]],
    )


def _entry(file: Mapping[str, Any]) -> Entry:
    try:
        mode = int(file["mode"], 8)
    except ValueError:
        raise StabilityError(f"{file['path']}: the mode {file['mode']!r} is not of octal digits, like 0644.") from None
    return Entry(file["content"].encode(), mode)


def _probe(given: Mapping[str, Any]) -> Probe:
    tls = given["tls"] if given["tls"] is not None else given["scheme"] == "https"
    address = given["address"] or "127.0.0.1"
    probe = from_url(given["url"]) if given["url"] else Probe(address, 443 if tls else 80, address, tls=tls)
    chosen = {name: value for name, value in given.items() if value not in (None, "")}
    chosen["expect_status"] = tuple(given["expect_status"])
    return replace(probe, **{name: value for name, value in chosen.items() if name not in ("url", "scheme")})
