#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_lease
short_description: Leases a host for a deployment that goes over many
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Leaves a record of the run on the host, so that a second run over the same hosts is told at its beginning, and not
    when it meets the first one.
  - Returns the ids of the host's C(releases), of the C(active) and the C(previous) one, and the active one's
    C(activation).
  - Fails when another run has leased the host, whose lease is C(other) then, or a deployment is at work on it.
  - A lease ends after O(lease) seconds, for runs that died. It does not replace the lock that each deployment on the
    host holds while it works.
options:
  directory:
    description: Directory of the service.
    type: path
    required: true
  run:
    description: Name of the run. A lease of the same run is renewed.
    type: str
    required: true
  what:
    description: What the run does, for whoever is kept out meanwhile.
    type: str
    default: a deployment
  deployer:
    description: Who deploys, for the same. Filled in on the controller.
    type: str
    default: ""
  controller:
    description: Name of the controller, filled in there.
    type: str
    default: ""
  process:
    description: Process of the run on the controller, filled in there.
    type: int
    default: 0
  lease:
    description: Seconds after which the lease counts for nothing.
    type: int
    default: 1800
  take_over:
    description: Whether to take the lease of another run.
    type: bool
    default: false
  state:
    description: V(absent) ends the lease of this run, if there is one.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Lease the host
  workbot.stability.deploy_lease:
    directory: /srv/shop
    run: 5b0e7c1a
"""

import time
from dataclasses import asdict
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._deploy.lease import (
    Lease,
    LeaseError,
    drop,
    releases_of,
    take,
)
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Places
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

SPEC = {
    "directory": {"type": "path", "required": True},
    "run": {"type": "str", "required": True},
    "what": {"type": "str", "default": "a deployment"},
    "deployer": {"type": "str", "default": ""},
    "controller": {"type": "str", "default": ""},
    "process": {"type": "int", "default": 0},
    "lease": {"type": "int", "default": 1800},
    "take_over": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    options = module.params
    places = Places.below(Path(options["directory"]))
    now = time.time()
    lease = Lease(
        run=options["run"],
        what=options["what"],
        who=options["deployer"] or "root",
        began=now,
        until=now + options["lease"],
        controller=options["controller"],
        process=options["process"],
    )
    try:
        if options["state"] == "present":
            take(places.releases, lease, options["take_over"], module.check_mode)
        elif not module.check_mode:
            drop(places.releases, lease.run)
        # a run's mark on the host, not a change of it
        module.exit_json(changed=False, **releases_of(places))
    except LeaseError as error:
        module.fail_json(msg=str(error), other=asdict(error.other) if error.other else {})
    except OSError as error:
        module.fail_json(msg=str(error), other={})


if __name__ == "__main__":
    main()
