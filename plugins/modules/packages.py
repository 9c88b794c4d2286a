#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Have Debian packages installed, predictably
description:
  - Asks dpkg which of the packages are missing, and has apt-get install those, without what they only recommend.
    Packages that are there are left at their version, and changed configuration files as they are.
  - P(ansible.builtin.apt#module) cannot predict on a bare host, where it needs python3-apt and current package lists,
    and to install python3-apt and to load it takes seconds.
  - What dpkg was interrupted in is finished first.
  - Fails with C(busy) where another apt is at work, for which the controller's half waits 10 minutes.
  - The role P(workbot.stability.service#role) asks once for the packages of all roles of the play, and what it found
    answers the later tasks of the run without a question to the host.
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author:
  - workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description: Predicts on a host with no more than dpkg.
    support: full
  diff_mode:
    description: Shows the packages that are missing.
    support: full
options:
  name:
    description: Names of the packages.
    type: list
    elements: str
    required: true
  look_for:
    description: Further packages that are looked for and not installed.
    type: list
    elements: str
    default: []
  background:
    description:
      - For the controller's half, which then only has the installation begin. The later tasks of the run that need one
        of the packages wait for it, where the result was registered as C(__service_asked_packages). Not under mitogen,
        where nothing goes on in the background.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Install the packages
  workbot.stability.packages:
    name: [nginx, logrotate]
"""

RETURN = r"""
missing:
  description: The packages that were missing when this task looked, or the one whose answer it has.
  returned: success
  type: list
  elements: str
  sample: [nginx]
present:
  description: The packages that are there now, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [nginx]
job:
  description: Where the host keeps what becomes of the installation, for O(background).
  returned: when it goes on in the background
  type: str
"""

import time
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

# Long enough that the roles of one run fetch the package lists once.
_LISTS_ARE_CURRENT_FOR = 3600
_LISTS = Path("/var/lib/apt/lists")
# What fetched no new list may have left the directory alone.
_FETCHED = Path("/var/lib/apt/periodic/update-success-stamp")
_KEEP_CONFIGURATION = ("--force-confdef", "--force-confold")
_OPTIONS = [
    "--yes",
    "--no-install-recommends",
    "--option=DPkg::Lock::Timeout=60",
    *(f"--option=Dpkg::Options::={option}" for option in _KEEP_CONFIGURATION),
]
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "C",
}
_BUSY = ("Could not get lock", "Unable to lock", "Unable to acquire")
# A host lost its power, or dpkg was killed, while it set packages up: until that is finished, no apt does anything.
_HALF_DONE = "dpkg was interrupted"


def missing_packages(names: list[str], listing: str) -> list[str]:
    """The names that are not installed, given dpkg-query's lines of `name status`. A removed package's line remains."""
    installed = {
        name for name, _space, status in (line.partition(" ") for line in listing.splitlines()) if status == "installed"
    }
    return [name for name in dict.fromkeys(names) if name not in installed]


def complaints(error: str) -> str:
    """What apt-get and dpkg say went wrong, of all that they say."""
    lines = [line for line in error.splitlines() if line.startswith(("E: ", "W: ", "dpkg: ", " "))]
    return "\n".join(lines) or error.strip()


def lists_are_current() -> bool:
    """Whether package lists were fetched a short while ago. Images of Debian have none."""
    fetched = max((path.stat().st_mtime for path in (_LISTS, _FETCHED) if path.exists()), default=0)
    return any(_LISTS.glob("*Release")) and time.time() - fetched < _LISTS_ARE_CURRENT_FOR


def install(module: Module, names: Sequence[str]) -> None:
    """Have apt-get install the packages. Ends the module where it does not."""
    said = [] if lists_are_current() else [_update(module)]
    status, error = _install(module, names)
    if status and _HALF_DONE in error:
        module.run_command(["dpkg", *_KEEP_CONFIGURATION, "--configure", "-a"], environ_update=_ENVIRONMENT)
        status, error = _install(module, names)
    if status and not said:
        # the archive may have gone on since
        said = [_update(module)]
        status, error = _install(module, names)
    if status:
        problem = "\n".join(filter(None, map(complaints, [*said, error])))
        module.fail_json(msg=f"apt-get can't install {', '.join(names)}: {problem}", stderr=error)


def _update(module: Module) -> str:
    """What apt-get says of lists that it can't fetch, which need not be those that count here."""
    return _apt_get(module, ["update"])[1]


def _install(module: Module, names: Sequence[str]) -> tuple[int, str]:
    return _apt_get(module, ["install", "--", *names])


def _apt_get(module: Module, arguments: list[str]) -> tuple[int, str]:
    """Exit status, and what it says of errors. Ends the module where another apt is at work."""
    status, _output, error = module.run_command(["apt-get", *_OPTIONS, *arguments], environ_update=_ENVIRONMENT)
    if status and any(text in error for text in _BUSY):
        module.fail_json(msg=f"Another apt is at work: {complaints(error)}", busy=True)
    return status, error


def main() -> None:
    module = Module(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "look_for": {"type": "list", "elements": "str", "default": []},
            "background": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    names, looked_for = module.params["name"], module.params["look_for"]
    # Unknown names are an error to dpkg-query (exit status 1), but just missing to us.
    status, listing, error = module.run_command(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names, *looked_for]
    )
    if status not in (0, 1):
        module.fail_json(msg=f"dpkg-query does not say what is installed: {error.strip()}")
    missing = missing_packages([*names, *looked_for], listing)
    due = [name for name in missing if name in names]
    if due and not module.check_mode:
        install(module, due)
    module.exit_json(changed=bool(due), missing=missing)


if __name__ == "__main__":
    main()
