# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a program of the service's user logs in to the service's database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from .._postgresql.client import Login
from .._service.dotenv import parse

_CONNECT_TIMEOUT = 2
_STATEMENT_TIMEOUT_MS = 2000


def service_url(section: Mapping[str, Any]) -> str:
    """The service's own address of the database; empty where it has none. Raises OSError."""
    environment = Path(section["file"]).read_text(encoding="utf-8", errors="replace")
    return parse(environment).get("DATABASE_URL", "")


def login_of(url: str, application: str) -> Login:
    """The login that a URL stands for, as libpq reads one. Raises ValueError."""
    parts = urlsplit(url)
    given = {
        "host": unquote(parts.hostname or ""),
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.lstrip("/")),
        **dict(parse_qsl(parts.query)),
    }
    return login({name: value for name, value in given.items() if value}, application)


def login(given: Mapping[str, Any], application: str) -> Login:
    """With these parameters of libpq, as `application`; neither a connection nor a statement takes long."""
    options = f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}"
    return Login({**given, "connect_timeout": _CONNECT_TIMEOUT, "options": options}, application=application)
