#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trust_store
short_description: Have the host trust certificate authorities that were added to it
description:
  - Runs C(update-ca-certificates) where the host's bundle is older than a file of added authorities, or is not there.
    The times tell, not what this run did, so that a run that was killed in between is caught up with.
version_added: 0.1.0
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
  coming:
    description: In check mode, whether an earlier task would have written the file.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Install an authority
  ansible.builtin.copy:
    src: company.crt
    dest: /usr/local/share/ca-certificates/company.crt
    mode: "0644"
  register: authority

- name: Have the host trust it
  workbot.stability.trust_store:
    added: /usr/local/share/ca-certificates/company.crt
    coming: "{{ authority is changed }}"
"""

RETURN = r"""
bundle:
  description: The file of all authorities that the host trusts.
  returned: success
  type: str
  sample: /etc/ssl/certs/ca-certificates.crt
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def outdated(bundle: Path, added: Path) -> bool:
    """Whether the bundle is not there, or was written before the added authorities. Raises OSError without these."""
    since = added.stat().st_mtime
    return not bundle.exists() or bundle.stat().st_mtime < since


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "added": {"type": "path", "required": True},
            "coming": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    added = Path(module.params["added"])
    try:
        changed = (module.check_mode and module.params["coming"]) or outdated(_BUNDLE, added)
    except OSError as error:
        module.fail_json(msg=f"added: {error}")
    if changed and not module.check_mode:
        module.run_command(["update-ca-certificates"], check_rc=True)
    diff = {"before": "", "after": f"trusted: {added}\n" if changed else ""}
    module.exit_json(changed=changed, bundle=str(_BUNDLE), diff=diff)


if __name__ == "__main__":
    main()
