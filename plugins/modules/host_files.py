#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole concern in one call: a task for each file costs two round trips for each, on every run."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_files
short_description: Have the accounts, directories, files and units of one concern as they should be
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
description:
  - Reads all that is named in one call, compares, and changes only what differs, in the order accounts, directories,
    units to stop, files, units to start, paths to remove.
  - What is refused is refused before anything changes. Where a unit does not start with its new files, they are put
    back as they were, and a unit that ran before runs again.
  - Templates are rendered on the controller. A program is sent only where the host has another one.
attributes:
  check_mode:
    support: full
    description: Says what would change, on a bare host too.
  diff_mode:
    support: full
    description:
      - Shows accounts, directories, texts and the states of units; of a secret and of a program only that they change.
options:
  accounts:
    description: System users that nobody logs in as, with their groups.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      group:
        description: Its group, made where it is missing. Unset, a group of the user's name.
        type: str
      home:
        description: Its home, which is not made.
        type: path
        default: /nonexistent
      comment:
        description: Its comment.
        type: str
        default: ""
  directories:
    description: The directories, parents first; see P(workbot.stability.directories#module).
    type: list
    elements: dict
    default: []
    suboptions:
      path: &path
        description: Absolute path.
        type: path
        required: true
      owner: &owner
        description: Name of the owner.
        type: str
        default: root
      group: &group
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Mode in octal digits, for example V(0750).
        type: str
        default: "0755"
      contents:
        description: Whether what is in it is handed over to the owner, where it is somebody else's.
        type: bool
        default: false
      users:
        description:
          - Permissions of users beside the owner, by name, for example V(rwx), in an access list (ACL). The group's are
            those of the mode. Without any, a list that is there is left alone.
        type: dict
        default: {}
  files:
    description: The files, each with one of a content, a template, a program and the target of a link.
    type: list
    elements: dict
    default: []
    suboptions:
      path: *path
      content:
        description: The text.
        type: str
      template:
        description: Name of a template, found where P(ansible.builtin.template#module) finds it.
        type: str
      program:
        description:
          - A command made of this collection's own code, a module of C(module_utils) and all that it imports from
            beside it. The host then runs the very code that the modules run.
          - The same sources give the same bytes, so nothing changes until the code does.
        type: dict
        suboptions:
          entry_point:
            description: What it calls, as C(module:function), of this collection's C(module_utils).
            type: str
            required: true
          arguments:
            description: Keyword arguments of the call.
            type: dict
            default: {}
      target:
        description: What a symbolic link at O(files[].path) leads to; it need not be there.
        type: str
      secret:
        description: Whether neither differences nor a verbose log may show the text.
        type: bool
        default: false
      check:
        description:
          - Command that says whether the new file will do, with C(%s) for its path, run before anything changes.
          - Left out where the host does not have the command yet.
        type: list
        elements: str
        default: []
      owner: *owner
      group: *group
      mode:
        description: Mode in octal digits, for example V(0640).
        type: str
        default: "0644"
      sent:
        description: Set by the controller, the content in base64.
        type: str
      sha256:
        description: Set by the controller, the digest of a program.
        type: str
  removed:
    description: Paths that must not be there, directories with all that is in them.
    type: list
    elements: path
    default: []
  units:
    description:
      - Units of systemd. It reads its unit files again where that is due.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit with its suffix.
        type: str
        required: true
      enabled:
        description: Whether it starts at boot.
        type: bool
        default: true
      started:
        description: Whether it runs.
        type: bool
        default: true
      restart_for:
        description:
          - Paths of O(files). The unit is restarted where one of them changes, or was written after the unit began to
            run (by a run that was killed before its restart, or by somebody else).
        type: list
        elements: path
        default: []
  kernel:
    description:
      - Settings of the running kernel, by the names of sysctl, for example C(fs.protected_symlinks). Set before
        anything else, until the next boot. One that can't be changed from here, as in a container, is refused.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Install the sweeper
  workbot.stability.host_files:
    directories:
      - {path: /var/lib/sweeper, owner: sweeper, group: sweeper, mode: "0750"}
    files:
      - {path: /etc/sweeper.json, template: sweeper.json.j2}
      - {path: /etc/sweeper.key, content: "{{ sweeper_key }}", secret: true, mode: "0600"}
      - {path: /etc/systemd/system/sweeper.service, template: sweeper.service.j2}
    units:
      - name: sweeper.service
        restart_for: [/etc/sweeper.json, /etc/systemd/system/sweeper.service]
"""

RETURN = r"""
changed_paths:
  description: The directories and files that were made, corrected or removed.
  type: list
  elements: str
  returned: success
units:
  description: The units as they were found, by name, each with C(active), C(enabled) and C(loaded).
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.installation import apply, plan, report
from ansible_collections.workbot.stability.plugins.module_utils._host.installation_options import argument_spec, request


def main() -> None:
    """Parse, compare, act and report."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        made = plan(request(module.params))
        if not module.check_mode:
            if made.unsent:
                module.exit_json(changed=False, unsent=made.unsent)
            apply(made)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**report(made))


if __name__ == "__main__":
    main()
