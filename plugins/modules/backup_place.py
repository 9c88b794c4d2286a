#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether backups can be kept where they are wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_place
short_description: Refuse a directory or a bucket in which no backups can be kept
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Fails where O(directory) is on the file system of the root directory, where O(bucket) does not let this host in, and
    where there are no backups that O(holds) names.
    Changes nothing.
  - A store that can't be reached, or is in trouble, is a warning on a host that has backups there already, since the
    rest of a run may be what the host needs.
options:
  directory:
    description: Directory that has to be on another file system than the root directory.
    type: path
  bucket:
    description: Name of a bucket.
    type: str
  endpoint:
    description: Host of its store, with a port if it is another than 443.
    type: str
  region:
    description: Region of the bucket.
    type: str
  path:
    description: Path in it, below which the backups are.
    type: str
  in_path:
    description: Whether the bucket's name is a part of the path, not of the host's name.
    type: bool
    default: true
  ca_file:
    description: File on the host with the authorities of the store's certificate. Empty for those of the host.
    type: str
    default: ""
  key:
    description: Key of an account.
    type: str
  secret:
    description: The secret to O(key).
    type: str
  settings:
    description: File that a host has whose backups are set up. Empty where that excuses nothing.
    type: path
    default: ""
  holds:
    description: Backups that have to be there already.
    type: list
    elements: dict
    default: []
    suboptions:
      what:
        description: What they are of.
        type: str
        required: true
      below:
        description:
          - What names of their files begin with, one of which has to exist; below a directory or in O(bucket).
        type: list
        elements: str
        required: true
"""

EXAMPLES = r"""
- name: Ask the bucket before anything changes
  workbot.stability.backup_place:
    bucket: shop-backup
    endpoint: s3.eu-central-1.amazonaws.com
    region: eu-central-1
    path: /pgbackrest
    in_path: false
    key: "{{ vault_backup_key }}"
    secret: "{{ vault_backup_secret }}"
    settings: /etc/pgbackrest/pgbackrest.conf
"""

RETURN = r"""
"""

import functools
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._checks.repository import (
    AwayError,
    in_bucket,
    in_directory,
    require_backups,
    require_bucket,
    require_mount,
)
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._net.bucket import Bucket


def main() -> None:
    """Parse, ask and report."""
    module = Module(
        argument_spec={
            "directory": {"type": "path"},
            "bucket": {"type": "str"},
            "endpoint": {"type": "str"},
            "region": {"type": "str"},
            "path": {"type": "str"},
            "in_path": {"type": "bool", "default": True},
            "ca_file": {"type": "str", "default": ""},
            "key": {"type": "str", "no_log": True},
            "secret": {"type": "str", "no_log": True},
            "settings": {"type": "path", "default": ""},
            "holds": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "what": {"type": "str", "required": True},
                    "below": {"type": "list", "elements": "str", "required": True},
                },
            },
        },
        required_together=[("bucket", "endpoint", "region", "path", "key", "secret")],
        supports_check_mode=True,
    )
    given = module.params
    try:
        if given["directory"]:
            require_mount(given["directory"])
        is_there = in_directory
        if given["bucket"]:
            where = {name: given[name] for name in ("endpoint", "region", "key", "secret", "in_path", "ca_file")}
            bucket = Bucket(given["bucket"], **where)
            require_bucket(bucket, given["path"])
            is_there = functools.partial(in_bucket, bucket)
        for each in given["holds"]:
            require_backups(is_there, each["what"], each["below"])
    except AwayError as error:
        if not (given["settings"] and Path(given["settings"]).exists()):
            module.fail_json(msg=f"{error}. Nothing was changed.")
        module.warn(f"{error}. The host's backups go on as they can.")
    except StabilityError as error:
        module.fail_json(msg=f"{error}. Nothing was changed.")
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
