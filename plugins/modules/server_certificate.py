#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of a server and the authority behind it, as one state that a run brings about."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_certificate
short_description: Keep a server's certificate, issued by an authority of the host's own
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Makes an authority on the host (once), and a certificate of it for the server. The certificate is issued anew before
    it expires, when a name is missing in it, and when it is not the authority's or does not fit its key.
  - Clients trust C(authority.pem); a new certificate changes nothing for them.
  - With O(certificate) and O(key) these are checked and stored instead.
  - The directory then holds C(server.pem), C(server.key) and, unless they were given, C(authority.pem) and
    C(authority.key). The server has to be told to read them again.
  - Returns the C(reasons) for which the certificate was replaced, and, unless it was given, the day it expires on
    (C(not_after)).
options:
  directory:
    description: Directory of the files; made when it is missing.
    type: path
    required: true
  names:
    description: Addresses and host names that clients reach the server by. The first one names the certificate.
    type: list
    elements: str
    required: true
  owner:
    description: User that the server runs as; the server's key is its alone.
    type: str
    default: root
  valid_days:
    description: Days that a certificate is valid for.
    type: int
    default: 825
  renew_days:
    description: Days before the end at which it is issued anew.
    type: int
    default: 180
  certificate:
    description: A certificate with its chain, PEM, to be used instead.
    type: str
    default: ""
  key:
    description: The key to O(certificate), PEM.
    type: str
    default: ""
requirements:
  - cryptography on the host (Debian's python3-cryptography)
"""

EXAMPLES = r"""
- name: Make the database server's certificate
  workbot.stability.server_certificate:
    directory: /etc/postgresql/17/main/tls
    owner: postgres
    names: [10.0.0.5, db1.example.org]
"""

import datetime
import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._net.private_ca import (
    HAS_CRYPTOGRAPHY,
    Desired,
    converge_given,
    converge_made,
)


def main() -> None:
    """Parse, compare, act and report."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "owner": {"type": "str", "default": "root"},
            "valid_days": {"type": "int", "default": 825},
            "renew_days": {"type": "int", "default": 180},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
        },
        required_together=[("certificate", "key")],
        supports_check_mode=True,
    )
    options = module.params
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg="cryptography is missing: install the Debian package python3-cryptography")
    if not options["names"] or not 1 <= options["renew_days"] < options["valid_days"]:
        module.fail_json(msg="names must not be empty, and renew_days must be from 1 to less than valid_days")
    given = options["certificate"], options["key"]
    desired = Desired(
        Path(options["directory"]), options["owner"], options["names"], options["valid_days"], options["renew_days"]
    )
    not_after, names = "", options["names"]
    try:
        if not module.check_mode:
            pwd.getpwnam(options["owner"])
        if all(given):
            why = converge_given(desired, *given, dry=module.check_mode)
        else:
            why, pair = converge_made(desired, datetime.datetime.now(datetime.UTC), dry=module.check_mode)
            not_after, names = f"{pair.ends:%Y-%m-%d}", pair.names
    except StabilityError as error:
        module.fail_json(msg=str(error))
    except KeyError:
        module.fail_json(msg=f"owner: the host has no user {options['owner']}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    after = f"{desired.directory}/server.pem for {', '.join(names)}: {'; '.join(why)}\n" if why else ""
    module.exit_json(changed=bool(why), reasons=why, not_after=not_after, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
