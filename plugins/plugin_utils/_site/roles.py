# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles for which something is computed here, and how their vars ask for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleUndefinedVariable

from .alerting import Alerting
from .backup import Backup
from .base import Site
from .diagnostics import Diagnostics
from .metrics import Metrics, Report
from .monitoring import Exporters, Monitoring
from .nginx import Nginx
from .nginx_fleet import NginxFleet
from .nginx_run import NginxNotes, NginxRun
from .pm2 import Pm2
from .postgresql import Postgresql
from .service import Service
from .service_fleet import ServiceFleet
from .watchdog import Watchdog

# In the order in which one may read what follows from another's.
SITES: dict[str, type[Site]] = {
    "alerting": Alerting,
    "backup": Backup,
    "diagnostics": Diagnostics,
    "exporters": Exporters,
    "metrics": Metrics,
    "monitoring": Monitoring,
    "nginx": Nginx,
    "nginx_fleet": NginxFleet,
    "nginx_notes": NginxNotes,
    "nginx_run": NginxRun,
    "pm2": Pm2,
    "postgresql": Postgresql,
    "report": Report,
    "service": Service,
    "service_fleet": ServiceFleet,
    "watchdog": Watchdog,
}
CHECKED = "__service_variables"
"""What the check of all variables is registered as: it has computed the sites of the play's roles already."""

# What is no template: of the host, of others and of the run.
_GIVEN = ("ansible_facts", "groups", "hostvars", "inventory_hostname")
# Ansible names a role once more when a task has included a part of it.
_PLAY_ROLES = "ansible_play_role_names"
_QUESTION = re.compile(r"\{\{ lookup\('workbot\.stability\.site', '([a-z0-9_]+)'\) \}\}")


def site_variable(role: str) -> str:
    """Return the name of the variable in the role's vars that asks for its site, or for a part of it."""
    return f"__{role}" if "_" in role else f"__{role}_site"


def role_asked(value: Any) -> str:
    """Return the role that the variable's value asks for, "" where it asks for none."""
    found = _QUESTION.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else ""


def read_of(role: str) -> tuple[str, ...]:
    """Return the names of the variables that a role's site is made of."""
    return (*SITES[role].variables(), *_GIVEN, CHECKED)


def site_of(role: str, variables: Mapping[str, Any], template: Callable[[Any], Any]) -> dict[str, Any]:
    """Return what follows for the role from the variables, of which `template` renders a value."""

    def read(name: str) -> Any:
        try:
            return variables[name] if name in _GIVEN else template(variables[name])
        except AnsibleUndefinedVariable as error:
            raise KeyError(name) from error

    return SITES[role](read).known()


def kept(variables: Mapping[str, Any], names: Iterable[str], site: dict[str, Any]) -> dict[str, Any]:
    """Return the site for those who ask for it later, with what it is of: all that these variables say, unrendered."""
    read = sorted({*names} - {*_GIVEN, CHECKED})
    return {"names": read, "of": _digest(read, variables), "site": site}


def kept_site(role: str, variables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the check of the variables has found, None where one of them has another value here."""
    kept = ((variables.get(CHECKED) or {}).get("sites") or {}).get(role)
    return kept["site"] if kept and kept["of"] == _digest(kept["names"], variables) else None


def _digest(names: Iterable[str], variables: Mapping[str, Any]) -> str:
    """Return that of the unrendered variables: parameters of roles, set facts and results override those checked."""
    return hashlib.sha256(repr([_said(name, variables) for name in names]).encode()).hexdigest()


def _said(name: str, variables: Mapping[str, Any]) -> Any:
    value = variables.get(name)
    return sorted({*value}) if name == _PLAY_ROLES and value else value
