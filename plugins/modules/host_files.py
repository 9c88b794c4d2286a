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
  - Reads all that is named in one call, compares, and changes only what differs, in the order accounts, units to stop,
    directories, files, units to start, paths to remove.
  - What is refused is refused before anything changes. Where one can't be written, or a unit does not start with its
    new files, all files are put back as they were, and a unit that ran before runs again.
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
    description:
      - The directories, parents first. A path that is a symbolic link or a file is refused.
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
      keep:
        description: Whether one that is there stays as it is, since others may use it as well.
        type: bool
        default: false
      contents:
        description:
          - Whether what is in it is the owner's as well. What belongs to somebody else, such as the user that the
            service had before, is handed over, without following links. What is root's stays root's.
        type: bool
        default: false
      users:
        description:
          - Permissions of users beside the owner, by name, for example V(rwx), in an access list (ACL). The group's are
            those of the mode. Without any, there is no such list, and one that is there is removed.
        type: dict
        default: {}
  files:
    description:
      - The files, each with one of a content, a template and a program.
      - Below C(/usr/local/share/ca-certificates) it is one of authorities (PEM) that the host is to trust, and
        C(update-ca-certificates) runs where the host's bundle is older than the file, or is not there. The times tell,
        not what this run did, so that a run that was killed in between is caught up with.
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
      vars:
        description: More variables for the template.
        type: dict
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
        description: Set by the controller, the digest of a program that is only compared.
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
      reload_for:
        description: The same of paths for which the unit is reloaded, where it is not restarted.
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

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.host_files import apply, plan
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

_PATH = {"type": "path", "required": True}
_NAME = {"type": "str", "required": True}
_OWNER = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
_ACCOUNT = {
    "name": _NAME,
    "group": {"type": "str"},
    "home": {"type": "path", "default": "/nonexistent"},
    "comment": {"type": "str", "default": ""},
}
_DIRECTORY = {
    "path": _PATH,
    **_OWNER,
    "mode": {"type": "str", "default": "0755"},
    "keep": {"type": "bool", "default": False},
    "contents": {"type": "bool", "default": False},
    "users": {"type": "dict", "default": {}},
}
_FILE = {
    "path": _PATH,
    "content": {"type": "str"},
    "template": {"type": "str"},
    "vars": {"type": "dict"},
    "program": {"type": "dict", "options": {"entry_point": _NAME, "arguments": {"type": "dict", "default": {}}}},
    # whether there is one
    "secret": {"type": "bool", "default": False, "no_log": False},
    "check": {"type": "list", "elements": "str", "default": []},
    **_OWNER,
    "mode": {"type": "str", "default": "0644"},
    # masked in what the host logs of a call; see the action
    "sent": {"type": "str", "no_log": True},
    "sha256": {"type": "str"},
}
_UNIT = {
    "name": _NAME,
    "enabled": {"type": "bool", "default": True},
    "started": {"type": "bool", "default": True},
    "restart_for": {"type": "list", "elements": "path", "default": []},
    "reload_for": {"type": "list", "elements": "path", "default": []},
}
_LIST = {"type": "list", "elements": "dict", "default": []}
SPEC = {
    "accounts": {**_LIST, "options": _ACCOUNT},
    "directories": {**_LIST, "options": _DIRECTORY},
    "files": {**_LIST, "options": _FILE},
    "removed": {"type": "list", "elements": "path", "default": []},
    "units": {**_LIST, "options": _UNIT},
    "kernel": {"type": "dict", "default": {}},
}


def main() -> None:
    """Parse, compare, act and report."""
    module = Module(argument_spec=SPEC, supports_check_mode=True)
    try:
        made = plan(module.params)
        if not module.check_mode:
            apply(made)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    found = {
        name: {"active": state.active, "enabled": state.enabled, "loaded": state.loaded}
        for name, state in made.states.items()
    }
    module.exit_json(changed=made.changed, changed_paths=made.paths, units=found, diff=made.diff())


if __name__ == "__main__":
    main()
