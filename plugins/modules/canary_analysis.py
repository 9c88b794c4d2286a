#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: canary_analysis
short_description: Watches the release that serves on a host for a while
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Looks once a second whether the processes of the active release are the same as before and answer healthily, on
    their socket and through the host's Nginx, and how many requests Nginx has answered with an error since the release
    serves. Fails at the first thing that is not well.
  - Returns whether another release serves than before (C(watched)), which C(release) that is, for how many C(seconds)
    it was watched, and of Nginx's log since it serves the C(requests) and the C(errors) among them.
  - All in one call on the host. Changes nothing, and watches nothing in check mode, since nothing was deployed.
  - A connection that is lost meanwhile is a failure, which a C(rescue) can answer.
extends_documentation_fragment:
  - workbot.stability.activation
  - workbot.stability.pm2
  - workbot.stability.pm2.home
  - workbot.stability.read_only
  - workbot.stability.internal
options:
  replaced:
    description: Name of the activation that served before. When it still does there is nothing to watch.
    type: str
    default: ""
  seconds:
    description: How long to watch.
    type: float
    default: 60
  max_errors:
    description:
      - Percentage of requests since the switch that may be answered with a status of 500 or above. When the release
        before had some as well, twice its percentage is allowed. Fewer than three are no reason.
    type: float
    default: 1
  access_log:
    description: Nginx's log of the service, a JSON object a line with C(time), C(status), C(upstream).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Watch the canary
  workbot.stability.canary_analysis:
    service: shop
    directory: /srv/shop
    run_directory: /run/shop
    user: shop
    pm2_home: /srv/shop/active/pm2
"""

from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import read_active
from ansible_collections.workbot.stability.plugins.module_utils._deploy.argspec import ACTIVATION_OPTIONS
from ansible_collections.workbot.stability.plugins.module_utils._deploy.canary import Answers, watch
from ansible_collections.workbot.stability.plugins.module_utils._deploy.health_gate import Health, Workers
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, Places
from ansible_collections.workbot.stability.plugins.module_utils._host.command import Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._pm2.argspec import DAEMON_OPTIONS
from ansible_collections.workbot.stability.plugins.module_utils._pm2.client import Pm2Client
from ansible_collections.workbot.stability.plugins.module_utils._pm2.rpc import processes_of

SPEC: dict[str, Any] = {
    "replaced": {"type": "str", "default": ""},
    "seconds": {"type": "float", "default": 60},
    "max_errors": {"type": "float", "default": 1},
    "access_log": {"type": "path", "required": True},
    **DAEMON_OPTIONS,
    **ACTIVATION_OPTIONS,
}


def workers_of(options: dict[str, Any], places: Places, active: Activation, health: Health) -> Workers:
    client = Pm2Client.of({**options, "timeout": 60})
    app = places.app_name(active)
    mine = [process for process in processes_of(client) if process.name == app]
    return Workers(
        client,
        app=app,
        instances=max(1, len(mine)),
        sockets=places.of(active),
        health=health,
        user=Identity.of(options["user"]),
        restarts={process.pm_id: process.restarts for process in mine},
    )


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    places = Places.below(Path(options["directory"]), options["service"], Path(options["run_directory"]))
    active = read_active(places)
    release = active.release if active else ""
    if active is None or module.check_mode or active.name == options["replaced"]:
        module.exit_json(
            changed=False, watched=False, release=release, seconds=0, requests=0, errors=0, msg="nothing to watch"
        )
    health = Health.of({**options, "start_timeout": options["health_timeout"], "stay_up": 0})
    try:
        answers = Answers(Path(options["access_log"]), since=places.active.lstat().st_mtime)
        workers = workers_of(options, places, active, health)
        seconds = watch(workers, health, answers, options["seconds"], options["max_errors"])
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"Release {release} turned bad as the canary: {error}", release=release)
    module.exit_json(
        changed=False,
        watched=True,
        release=release,
        seconds=seconds,
        requests=answers.after.requests,
        errors=answers.after.errors,
        msg=f"release {release} was well for {seconds:g} s: {answers.after}",
    )


if __name__ == "__main__":
    main()
