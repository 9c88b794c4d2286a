#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trust_store
short_description: Have the host trust certificate authorities that were added to it
description:
  - Writes a file of added authorities, and runs C(update-ca-certificates) where the host's bundle is older than that
    file, or is not there. The times tell, not what this run did, so that a run that was killed in between is caught
    up with.
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author:
  - workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description: Predicts on a bare host, too.
    support: full
  diff_mode:
    description: Shows the file that the bundle lacks.
    support: full
options:
  added:
    description: The file of added authorities, below C(/usr/local/share/ca-certificates).
    type: path
    required: true
  content:
    description: The authorities, as PEM text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Have the host trust an authority
  workbot.stability.trust_store:
    added: /usr/local/share/ca-certificates/company.crt
    content: "{{ lookup('ansible.builtin.file', 'company.crt', rstrip=false) }}"
"""

RETURN = r"""
bundle:
  description: The file of all authorities that the host trusts.
  returned: success
  type: str
  sample: /etc/ssl/certs/ca-certificates.crt
"""

import contextlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Entry, Transaction, Wanted, changes
from ansible_collections.workbot.stability.plugins.module_utils._host.trust_store import UPDATE, alone

_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def outdated(bundle: Path, added: Path) -> bool:
    """Whether the bundle is not there, or was written before the added authorities. Raises OSError without these."""
    since = added.stat().st_mtime
    return not bundle.exists() or bundle.stat().st_mtime < since


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "added": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    added = module.params["added"]
    try:
        with contextlib.nullcontext() if module.check_mode else alone():
            due = changes([Wanted(added, Entry(module.params["content"].encode(), 0o644, "root", "root"))])
            if due and not module.check_mode:
                Transaction().make(due)
            update = bool(due) or outdated(_BUNDLE, Path(added))
            if update and not module.check_mode:
                module.run_command([UPDATE], check_rc=True)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"added: {error}")
    trusted = {"before": "", "after": f"trusted: {added}\n" if update else ""}
    module.exit_json(changed=update, bundle=str(_BUNDLE), diff=[*(change.diff() for change in due), trusted])


if __name__ == "__main__":
    main()
