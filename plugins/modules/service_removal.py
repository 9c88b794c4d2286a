#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes one service off a host and leaves the others alone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_removal
short_description: Take a service off a host, and leave the others alone
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal, workbot.stability.service]
author: workbot.stability contributors (@workbot)
description:
  - Removes what the collection's roles have put on a host for one service, whatever of it is there. First what watches
    the service, then its site in Nginx (as P(workbot.stability.nginx_site#module) does), then its processes once their
    connections have ended, then units, programs, files, its way into PostgreSQL and its users.
  - What is shared with other services stays, and so do Debian's packages. What only this service needed of the host is
    put back, Debian's default site for example.
  - Data stays unless O(data) is true. Data is the service's configuration with its secrets, its shared directory, what
    it has written into its user's home (not what is hidden there), what somebody else has put into its directory, the
    logs, and in PostgreSQL the database and its roles.
  - A user whose home is not O(directory)C(/home) is foreign and stays, and so does a group that others are in.
  - Nothing is removed behind a symbolic link or a mount point.
  - A run that was killed is completed by the next one. A host that has nothing of the service is left unchanged.
attributes:
  check_mode:
    support: full
    description:
      - Reads all that a removal would, tests Nginx's configuration without the site in a copy, and says what would go.
  diff_mode:
    support: full
    description: Shows what goes, one line for each thing.
options:
  alert_user:
    description: The user that tells people about it.
    type: str
    default: ""
  acme_webroot:
    description:
      - Directory of a certificate authority's challenges. It is removed only if its last part is the service's name
        with C(-acme) behind it.
    type: str
    default: ""
  textfile_directory:
    description: Directory of node_exporter's textfile collector, in which the service's metrics are.
    type: str
    default: ""
  database:
    description: Its database. One that none of O(database_roles) owns is foreign and stays.
    type: str
    default: ""
  database_roles:
    description: The roles that were made for it.
    type: list
    elements: str
    default: []
  data:
    description: Whether its data goes as well.
    type: bool
    default: false
  revoke:
    description:
      - Whether the authority that its certificate was ordered from is asked to revoke it first. Where it does not, the
        run fails, and the certificate is still there.
    type: bool
    default: false
  tools_only:
    description:
      - Whether the service runs under something else, and only the tools around it are these roles'. Its processes,
        user, site, sockets and database then stay, and its directory, but for what the tools have in C(config).
    type: bool
    default: false
  drain_time:
    description: Seconds at most in which its connections may end, once Nginx does not know it any more.
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Take the service off the host
  workbot.stability.service_removal:
    name: shop
    user: shop
    group: shop
    directory: /srv/shop
    log_directory: /var/log/shop
    run_directory: /run/shop
    alert_user: shop-alert
    database: shop
    database_roles: [shop, shop_owner, shop_diagnosis]
"""

RETURN = r"""
removed:
  description: What was removed or in check mode would be, in this order.
  returned: success
  type: list
  elements: str
  sample: [/etc/cron.d/shop-diagnose, unit shop-watchdog.service, /srv/shop/releases, user shop]
data:
  description: What of the service on this host is data, whether it was removed or not.
  returned: success
  type: list
  elements: str
  sample: [/srv/shop/config, /var/log/shop, "database shop and roles shop, shop_diagnosis, shop_owner"]
kept:
  description: The data that stays, and what stays because of it.
  returned: success
  type: list
  elements: str
left:
  description: What is left alone, each with the reason, such as a mount point.
  returned: success
  type: list
  elements: str
msg:
  description: All of this for people, one line for each thing; on failure what is wrong.
  returned: always
  type: list
  elements: str
"""

import re

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._removal.plan import Removal, apply, summary
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import OPTIONS, Service

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# Whatever the variables say, nothing as high up as /srv or /var is ever a service's.
_DIRECTORY = re.compile(r"(?!.*/\.\.?(/|$))(/[A-Za-z0-9_.-]+){2,}")
ARGUMENTS = {
    **OPTIONS,
    "alert_user": {"type": "str", "default": ""},
    "acme_webroot": {"type": "str", "default": ""},
    "textfile_directory": {"type": "str", "default": ""},
    "database": {"type": "str", "default": ""},
    "database_roles": {"type": "list", "elements": "str", "default": []},
    "data": {"type": "bool", "default": False},
    "revoke": {"type": "bool", "default": False},
    "tools_only": {"type": "bool", "default": False},
    "drain_time": {"type": "float", "default": 60},
}


def main() -> None:
    module = Module(argument_spec=ARGUMENTS, supports_check_mode=True)
    given = dict(module.params)
    for option, rule in {
        "name": _NAME,
        "user": _ACCOUNT,
        "group": _ACCOUNT,
        "directory": _DIRECTORY,
        "log_directory": _DIRECTORY,
        "run_directory": _DIRECTORY,
    }.items():
        if not rule.fullmatch(given[option]):
            module.fail_json(msg=f"{option}: {given[option]!r} can't be a service's. Nothing was changed.")
    data, revoke, drain_time = given.pop("data"), given.pop("revoke"), given.pop("drain_time")
    roles = tuple(given.pop("database_roles"))
    removal = Removal(Service(**given, database_roles=roles), data, revoke, drain_time)
    try:
        plan = apply(removal, Layout(), check=module.check_mode)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    removed = plan.words()
    module.exit_json(
        changed=bool(removed),
        removed=removed,
        data=plan.data,
        kept=plan.kept,
        left=plan.left,
        diff={"before": "".join(f"{line}\n" for line in removed), "after": ""},
        msg=summary(removal, plan, module.check_mode),
    )


if __name__ == "__main__":
    main()
