#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_toolchain
short_description: Install Node.js, npm, pnpm and PM2 at exact versions
description:
  - Makes one directory hold C(node), C(npm), C(npx), C(pnpm) and C(pm2) in its C(bin).
  - A new toolchain is made beside the old one, each of its programs is started once, and only then C(bin) is switched
    to it by renaming a link. An install that fails or is killed leaves the old toolchain working.
  - A toolchain that a process still runs from, and the previous one, are kept.
  - No install script of any package is run, and no code of theirs as root; npm, and what is started once, run as a user
    that owns nothing else on the host.
  - Returns whether the toolchain was the active one, and whole, before (C(current)), and whether no npm is there yet to
    install with, so that a package of Debian is needed first (C(installer_missing)).
version_added: 0.1.0
extends_documentation_fragment: [workbot.stability.internal]
author: workbot.stability contributors (@workbot)
options:
  path:
    description: Directory of the toolchain.
    type: path
    required: true
  source:
    description:
      - Where Node.js comes from.
      - V(npm) is the package registry, which carries the official binaries. V(debian) is Debian's package, which must
        be installed before. V(archive) is an official tarball.
    type: str
    choices: [npm, debian, archive]
    default: npm
  node_version:
    description: Exact version for O(source=npm).
    type: str
    default: ""
  npm_version:
    description: Exact version of npm.
    type: str
    required: true
  pnpm_version:
    description: Exact version of pnpm.
    type: str
    required: true
  pm2_version:
    description: Exact version of PM2.
    type: str
    required: true
  lock:
    description:
      - Content of a lock file of npm's (C(package-lock.json), C(lockfileVersion) 2 or 3). A package that it has at the
        desired version, with all its dependencies, is installed as it says or not at all. The others are installed at
        their exact version, and their dependencies at whatever version the registry offers.
      - The registry's addresses in it don't count.
    type: dict
    default: {}
  archive:
    description: For O(source=archive), an https address or a path on the host.
    type: str
    default: ""
  archive_checksum:
    description: For O(source=archive), for example V(sha256:4e1f...).
    type: str
    default: ""
  registry:
    description: Address of a package registry; empty for npm's own default.
    type: str
    default: ""
  ca_file:
    description: File on the host with extra certificate authorities; empty for none.
    type: str
    default: ""
  used_in:
    description:
      - Directory in whose directories links C(bin) lead to toolchains that are in use, though nothing may run from them
        at the moment; empty for none.
    type: str
    default: ""
  timeout:
    description: Seconds that the download and the install may each take.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Install the toolchain
  workbot.stability.node_toolchain:
    path: /opt/workbot
    node_version: 26.10.0
    npm_version: 12.2.0
    pnpm_version: 12.4.2
    pm2_version: 7.0.4
"""

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._net.download import parse_checksum
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.toolchain import (
    Desired,
    Install,
    Toolchain,
    debian_node_version,
    require_new_enough,
)


def describe(identifier: str, packages: dict[str, str], defects: Sequence[str] = ()) -> str:
    """One side of the diff."""
    lines = [f"toolchain: {identifier or 'none'}"]
    lines += [f"{name}: {version}" for name, version in sorted(packages.items())]
    lines += [f"damaged: {defect}" for defect in defects]
    return "\n".join(lines) + "\n"


def converge(module: Module) -> dict[str, object]:
    """Read, compare, act; the module's result."""
    options = module.params
    desired = Desired(
        source=options["source"],
        node_version=options["node_version"] if options["source"] == "npm" else "",
        npm_version=options["npm_version"],
        pnpm_version=options["pnpm_version"],
        pm2_version=options["pm2_version"],
        archive_checksum=options["archive_checksum"] if options["source"] == "archive" else "",
        lock=options["lock"],
    )
    if desired.source == "archive":
        parse_checksum(desired.archive_checksum)
    if desired.source == "debian" and (version := debian_node_version(Path(options["path"]))):
        require_new_enough(version, "Debian's package nodejs")
    toolchain = Toolchain(Path(options["path"]))
    active, changed = toolchain.active(), not toolchain.current(desired)
    defects = toolchain.defects(desired) if active == desired.identifier else []
    diff = {
        "before": describe(active, toolchain.versions_of(active), defects),
        "after": describe(desired.identifier, desired.packages()),
    }
    installer_missing = desired.source != "archive" and not toolchain.installer()
    if changed and not module.check_mode:
        names = ("registry", "ca_file", "archive", "timeout", "used_in")
        install = Install(**{name: options[name] for name in names})
        toolchain.make(desired, install)
    return {
        "changed": changed,
        "current": not changed,
        "installer_missing": installer_missing,
        "diff": diff,
    }


def main() -> None:
    module = Module(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "str", "choices": ["npm", "debian", "archive"], "default": "npm"},
            "node_version": {"type": "str", "default": ""},
            "npm_version": {"type": "str", "required": True},
            "pnpm_version": {"type": "str", "required": True},
            "pm2_version": {"type": "str", "required": True},
            "lock": {"type": "dict", "default": {}},
            "archive": {"type": "str", "default": ""},
            "archive_checksum": {"type": "str", "default": ""},
            "registry": {"type": "str", "default": ""},
            "ca_file": {"type": "str", "default": ""},
            "used_in": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 300},
        },
        required_if=[
            ("source", "npm", ["node_version"]),
            ("source", "archive", ["archive", "archive_checksum"]),
        ],
        supports_check_mode=True,
    )
    try:
        result = converge(module)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"{module.params['path']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
