#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes an nginx configuration as one transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_site
short_description: Change an nginx configuration as one transaction
version_added: 0.1.0
description:
  - Brings files below C(/etc/nginx) to the wanted state, all of them or none.
  - When something differs, the host's whole configuration is copied, the new files are put into the copy, and nginx
    tests that. Only a configuration that nginx accepts is swapped in, by renaming each file, and reloaded. The module
    then waits until workers with the new configuration serve and the old ones do not. When any of this fails, the
    previous files and the previous running configuration are back.
  - A configuration that was broken before is reported as such, and left alone.
  - A run that was killed in the middle of a change is undone by the next one.
  - Runs at the same time wait for one another.
  - When nothing differs, nothing is reloaded; a stopped nginx is started.
options:
  files:
    description: The files that are wanted.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is, relative to C(/etc/nginx). Missing directories are made.
        type: str
        required: true
      content:
        description: The text of the file.
        type: str
        required: true
      mode:
        description: The mode of the file, as octal digits in quotes.
        type: str
        default: "0644"
  absent:
    description: The files and links that are not wanted, relative to C(/etc/nginx).
    type: list
    elements: str
    default: []
  logs:
    description:
      - Names of log files in C(/var/log/nginx) that the configuration writes.
      - Those that are missing are made with mode 0640, owner C(www-data) and group C(adm), as Debian's logrotate policy
        makes them; nginx itself would make them readable for everyone.
    type: list
    elements: str
    default: []
  ports:
    description:
      - The TCP ports that the configuration listens on.
      - The module fails when one is taken by a program other than nginx.
      - Given alone, the module only checks the ports; that works before nginx is installed.
    type: list
    elements: int
    default: []
  disable_default_site:
    description:
      - Remove C(sites-enabled/default) if it still is the link that Debian made, to a file that nobody changed.
    type: bool
    default: false
author:
  - workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description: Predicts the changes and tests them in a copy; where nginx is not installed, the test is left out.
    support: full
  diff_mode:
    description: Shows each file that changes.
    support: full
notes:
  - Needs systemd and a configuration directory laid out as Debian's packages do.
  - A file whose name ends in C(.conf) must be included by C(nginx.conf), in Debian by its place in C(modules-enabled),
    C(conf.d) or C(sites-enabled); a file that would have no effect is refused.
"""

EXAMPLES = r"""
- name: Serve the site
  workbot.stability.nginx_site:
    files:
      - path: conf.d/shop.conf
        content: "{{ lookup('ansible.builtin.template', 'shop.conf.j2') }}"
    absent: [conf.d/old-shop.conf]
    logs: [shop.access.log]
    ports: [80]
    disable_default_site: true

- name: Stop early when something other than nginx has the port
  workbot.stability.nginx_site:
    ports: [80]
"""

RETURN = r"""
changed_files:
  description: The paths that changed, or in check mode would change.
  returned: success
  type: list
  elements: str
  sample: [/etc/nginx/conf.d/shop.conf]
reloaded:
  description: Whether nginx was reloaded.
  returned: success
  type: bool
started:
  description: Whether nginx was stopped before, and was started.
  returned: success
  type: bool
recovered:
  description: Whether the change of an earlier run, killed in the middle, was undone first.
  returned: success
  type: bool
installed:
  description: Whether nginx is installed on the host.
  returned: success
  type: bool
ipv6:
  description: Whether the host's kernel has IPv6, so that nginx can listen on it.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._nginx import Request, apply
from ..module_utils._nginx_files import Entry, NginxError
from ..module_utils._nginx_service import has_ipv6
from ..module_utils._nginx_staging import Layout


def wanted(files: list[dict[str, str]]) -> dict[str, Entry]:
    """The files of the request; NginxError for a mode that is none and for a path that is there twice."""
    entries: dict[str, Entry] = {}
    for file in files:
        path = file["path"]
        if path in entries:
            raise NginxError(f"files: {path} is there twice.")
        try:
            mode = int(file["mode"], 8)
        except ValueError:
            raise NginxError(f"files: {path}: the mode {file['mode']!r} is not of octal digits, like 0644.") from None
        entries[path] = Entry(file["content"].encode(), mode)
    return entries


def main() -> None:
    file_options = {
        "path": {"type": "str", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": file_options},
            "absent": {"type": "list", "elements": "str", "default": []},
            "logs": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "disable_default_site": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    layout = Layout()
    parameters = module.params
    try:
        request = Request(
            files=wanted(parameters["files"]),
            absent=parameters["absent"],
            logs=parameters["logs"],
            ports=parameters["ports"],
            disable_default_site=parameters["disable_default_site"],
        )
        result = apply(request, layout, check=module.check_mode)
    except (NginxError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=result.changed(),
        changed_files=[str(layout.config / change.path) for change in result.changes] + result.created_logs,
        reloaded=result.reloaded,
        started=result.started,
        recovered=result.recovered,
        installed=layout.binary.exists(),
        ipv6=has_ipv6(),
        diff=[change.diff(layout.config) for change in result.changes],
    )


if __name__ == "__main__":
    main()
