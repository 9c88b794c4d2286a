#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate from an ACME authority, as one state that a run brings about."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certbot_certificate
short_description: Keep a certificate from an ACME authority
version_added: 0.2.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Has Debian's certbot order a certificate (HTTP-01) where there is none, and a new one where the names, the
    authority or the webroot differ, or where it is about to end. From then on certbot's own timer renews it.
  - Before an authority is asked, each name must resolve, and what answers at port 80 of each of its addresses must be a
    site that serves O(webroot). Where the host can't reach itself by its own name, or is sent elsewhere, that is left
    to the authority.
  - An order that failed is not repeated within an hour, since authorities lock out who asks again and again. The error
    has the authority's reason. Where an address of a name has gone silent meanwhile, the next run sees whether it is
    back. Check mode asks nobody.
  - The certificate and its key are C(fullchain.pem) and C(privkey.pem) in C(/etc/letsencrypt/live/NAME). Whoever serves
    it reads the first one by a later task, and each later one by a hook in C(/etc/letsencrypt/renewal-hooks/deploy).
options:
  name:
    description: The certificate's name in certbot. Letters, digits, dots, dashes and underscores.
    type: str
    required: true
  state:
    description: V(absent) deletes the certificate, if it was ordered for a site of these roles, and ends its renewal.
    type: str
    choices: [present, absent]
    default: present
  names:
    description: Host names that it is for, without wildcards. Required unless it is to be absent.
    type: list
    elements: str
    default: []
  email:
    description: Address of the account at the authority.
    type: str
    default: ""
  server:
    description: URL of the authority's directory.
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  eab_kid:
    description: Key identifier of the account, for an authority that binds accounts to its customers.
    type: str
    default: ""
  eab_hmac_key:
    description: The key to O(eab_kid).
    type: str
    default: ""
  webroot:
    description:
      - Directory whose C(.well-known/acme-challenge) the site serves on port 80.
      - Required unless the certificate is to be absent.
    type: path
    default: ""
  insist:
    description: Ask the authority at once, also after an order that has failed, and whoever answers at port 80.
    type: bool
    default: false
requirements:
  - certbot and cryptography on the host (Debian's certbot has both)
"""

EXAMPLES = r"""
- name: Order the site's certificate
  workbot.stability.certbot_certificate:
    name: shop
    names: [shop.example.com, www.shop.example.com]
    email: ops@example.com
    webroot: /var/www/shop-acme
"""

RETURN = r"""
reasons:
  description: Why it was ordered, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [it is not for www.shop.example.com]
present:
  description: Whether there is a certificate now, perhaps one for other names.
  returned: success
  type: bool
certificate:
  description: Path of the certificate with its chain.
  returned: success
  type: str
"""

import re
from typing import Any

from ansible_collections.workbot.stability.plugins.module_utils._acme.lineage import certificate_path, is_there
from ansible_collections.workbot.stability.plugins.module_utils._acme.order import PROGRAM, Desired, converge, remove
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def main() -> None:
    module = Module(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "names": {"type": "list", "elements": "str", "default": []},
            "email": {"type": "str", "default": ""},
            "server": {"type": "str", "default": "https://acme-v02.api.letsencrypt.org/directory"},
            "eab_kid": {"type": "str", "default": ""},
            "eab_hmac_key": {"type": "str", "default": "", "no_log": True},
            "webroot": {"type": "path", "default": ""},
            "insist": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**_converge(module.params, check=module.check_mode))
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"{', '.join(module.params['names']) or module.params['name']}: {error}")


def _converge(options: dict[str, Any], *, check: bool) -> dict[str, Any]:
    name = options["name"]
    if not NAME.fullmatch(name):
        raise StabilityError(f"name: {name!r} has other characters than letters, digits, dots, dashes and underscores")
    if options["state"] == "absent":
        gone = remove(name, check=check)
        return {"changed": gone, "reasons": [], "present": False, "certificate": ""}
    if not options["names"] or not options["webroot"]:
        raise StabilityError("names and webroot must not be empty")
    if not check and not PROGRAM.exists():
        raise StabilityError("certbot is not installed: install Debian's package of that name")
    fields = ("name", "names", "email", "server", "webroot", "eab_kid", "eab_hmac_key")
    desired = Desired(**{field: options[field] for field in fields})
    why = converge(desired, check=check, insist=options["insist"])
    after = "".join(f"order a certificate for {', '.join(desired.names)}: {reason}\n" for reason in why)
    return {
        "changed": bool(why),
        "reasons": why,
        "present": is_there(name),
        "certificate": str(certificate_path(name)),
        "diff": {"before": "", "after": after},
    }


if __name__ == "__main__":
    main()
