#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate of a server and the authority behind it, as one state that a run brings about."""

from __future__ import annotations

DOCUMENTATION = r"""
module: server_certificate
short_description: Keep a certificate, issued by an authority of the host's own or of another host
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
  - With O(authority) the certificate is of another host's authority, and the key stays on this one. That takes three
    calls. The first one finds the certificate missing, or no good for one of the reasons above, makes a key if there is
    none, says that another certificate is C(pending), and returns a C(request), in check mode an empty one. The second
    one, on the host of the authority, has the certificate issued (O(request)). The third one stores what came back
    (O(issued)), with C(authority.pem). Until then what is there stays in use.
  - Returns the C(reasons) for which the certificate was, or is to be, replaced, and the day on which it expires
    (C(not_after)), unless it was given or is still to come.
options:
  directory:
    description: Directory of the files; made when it is missing.
    type: path
    required: true
  names:
    description:
      - Addresses and host names that clients reach the server by. The first one names the certificate.
      - With O(request) the certificate has these names. Those in the request are not looked at.
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
  usage:
    description:
      - What the certificate is for; C(peer) is both. One that is there already is not replaced for it.
    type: str
    choices: [server, client, peer]
    default: server
  authority:
    description: The certificate of another host's authority, PEM.
    type: str
    default: ""
  issued:
    description: What that authority has issued for the request of an earlier call with the same O(authority), PEM.
    type: str
    default: ""
  request:
    description:
      - Another host's signing request, PEM. Its signature is checked, and C(issued) is the certificate of the authority
        in O(directory) for its key. Nothing is stored, and nothing changed.
    type: str
    default: ""
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

- name: Make a key, where there is no good certificate of the monitor's authority
  workbot.stability.server_certificate: &certificate
    directory: /etc/exporter
    names: [10.0.0.6, app1.example.org]
    authority: "{{ monitor_authority }}"
  register: asked

- name: Have the monitor issue the certificate
  workbot.stability.server_certificate:
    directory: /etc/monitor
    names: [10.0.0.6, app1.example.org]
    request: "{{ asked.request }}"
  delegate_to: monitor1.example.org
  when: asked.request | default('')
  register: answered

- name: Store the certificate
  workbot.stability.server_certificate:
    <<: *certificate
    issued: "{{ answered.issued | default('') }}"
  when: asked.pending
"""

import datetime
import pwd
from pathlib import Path
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._net.private_ca import (
    HAS_CRYPTOGRAPHY,
    Desired,
    converge_given,
    converge_made,
)
from ansible_collections.workbot.stability.plugins.module_utils._net.requested_certificate import (
    converge_requested,
    issue,
)

LOCK = Path("/run/server-certificate.lock")
LOCK_SECONDS = 60
SPEC: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "valid_days": {"type": "int", "default": 825},
    "renew_days": {"type": "int", "default": 180},
    "usage": {"type": "str", "choices": ["server", "client", "peer"], "default": "server"},
    "authority": {"type": "str", "default": ""},
    "issued": {"type": "str", "default": ""},
    "request": {"type": "str", "default": ""},
    "certificate": {"type": "str", "default": ""},
    "key": {"type": "str", "default": "", "no_log": True},
}


def outcome(options: dict[str, Any], desired: Desired, dry: bool) -> dict[str, Any]:
    """Compare and act; the module's result but for what follows from its reasons. Raises StabilityError, OSError."""
    now = datetime.datetime.now(datetime.UTC)
    if options["request"]:
        return {"reasons": [], "issued": issue(desired, options["request"], now)}
    if options["certificate"]:
        return {"reasons": converge_given(desired, options["certificate"], options["key"], dry=dry)}
    if options["authority"]:
        requested = converge_requested(desired, options["authority"], options["issued"], now, dry=dry)
        why, pair = requested.reasons, requested.pair
        more = {"pending": requested.pending, "request": requested.request, "names": desired.names}
    else:
        why, pair = converge_made(desired, now, dry=dry)
        more = {"names": pair.names}
    return {"reasons": why, "not_after": f"{pair.ends:%Y-%m-%d}" if pair else "", **more}


def main() -> None:
    """Parse, compare, act and report."""
    module = Module(argument_spec=SPEC, required_together=[("certificate", "key")], supports_check_mode=True)
    options = module.params
    if not HAS_CRYPTOGRAPHY:
        module.fail_json(msg="cryptography is missing: install the Debian package python3-cryptography")
    if not options["names"] or not 1 <= options["renew_days"] < options["valid_days"]:
        module.fail_json(msg="names must not be empty, and renew_days must be from 1 to less than valid_days")
    kept = ("owner", "names", "valid_days", "renew_days", "usage")
    desired = Desired(Path(options["directory"]), **{name: options[name] for name in kept})
    try:
        if not module.check_mode:
            pwd.getpwnam(options["owner"])
        # services of one host share directories
        busy = StabilityError(f"another run has been making certificates for {LOCK_SECONDS} s: it holds {LOCK}")
        with lock(LOCK, busy, seconds=LOCK_SECONDS):
            result = outcome(options, desired, module.check_mode)
    except StabilityError as error:
        module.fail_json(msg=str(error))
    except KeyError:
        module.fail_json(msg=f"owner: the host has no user {options['owner']}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    why, names = result["reasons"], result.pop("names", desired.names)
    after = f"{desired.directory}/server.pem for {', '.join(names)}: {'; '.join(why)}\n" if why else ""
    module.exit_json(**{"not_after": "", **result}, changed=bool(why), diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
