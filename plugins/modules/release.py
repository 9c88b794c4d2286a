#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Put a release of a Node.js service on its host
description:
  - Takes the source from the controller or the network, sends it only when the host does not have that release yet,
    unpacks and builds it as the service's user, links shared paths into it and removes old releases.
  - A release is named by its content and by the settings of its build, so that an unchanged one is one round trip.
  - A run that fails leaves nothing behind. What a killed run leaves counts for nothing; the next run removes it.
  - One run at a time builds a release, and all its processes end with it. A second one fails and says who is at work.
  - A release whose C(package.json) has an C(engines.node) that the host's Node.js does not satisfy is refused.
  - The files of a finished release belong to root and the service's group may read them, so that a service that was
    broken into cannot rewrite its own program; see O(writable).
  - It never decides which release is active.
version_added: 0.1.0
author: workbot.stability contributors (@workbot)
attributes:
  action:
    description: Runs a part of itself on the controller.
    support: full
  check_mode:
    description: Says which release would be made and which ones would be removed.
    support: full
  diff_mode:
    description: Shows the releases before and after.
    support: full
options:
  path:
    description: Directory of the releases.
    type: path
    required: true
  directory:
    description:
      - The source, a directory on the controller. Exactly one of O(directory), O(archive) and O(git_url) is needed.
      - A relative path is taken from the inventory's directory, or from the working directory where only that has it.
    type: str
    default: ""
  exclude:
    description:
      - Patterns of files of O(directory) that are left out. A pattern with a slash is matched with the path from the
        top, any other with the base name. C(node_modules) is always left out of a release that is built.
    type: list
    elements: str
    default: []
  archive:
    description: The source, a tar archive on the controller, or an https address that the host fetches.
    type: str
    default: ""
  checksum:
    description: Checksum of O(archive), for example V(sha256:4e1f...). Required for an address.
    type: str
    default: ""
  git_url:
    description:
      - The source, a git repository. The controller's git fetches one commit of it, so that the host needs neither git
        nor a key. Neither O(git_url) nor O(git_key) reaches the host.
      - Submodules and files in Git LFS are refused.
    type: str
    default: ""
    version_added: 0.2.0
  git_ref:
    description: Branch, tag or whole commit id of O(git_url).
    type: str
    default: HEAD
    version_added: 0.2.0
  git_key:
    description:
      - Private key for O(git_url), a file on the controller, which ansible-vault may have encrypted. Empty for what
        the user's own ssh settings and agent offer. The server's host key must be known.
    type: str
    default: ""
    version_added: 0.2.0
  version:
    description:
      - Name of the release; empty for one that is derived from the content. One that is there already, but built for
        another Node.js ABI, is built again, and C(-abi<number>) is put behind its name.
    type: str
    default: ""
  user:
    description: User that builds the release.
    type: str
    required: true
  group:
    description: Group that may read the release.
    type: str
    required: true
  bin:
    description: Directory with node, npm and pnpm on the host.
    type: path
    required: true
  build:
    description: Whether to install the dependencies and run O(build_script). False for a prebuilt source.
    type: bool
    default: true
  program:
    description: The program, relative to the release. One that no build can make must be in the source.
    type: str
    default: ""
    version_added: 0.2.0
  build_script:
    description: Script of package.json that builds. A missing V(build) is no error. Empty for none.
    type: str
    default: build
  build_timeout:
    description: Seconds that fetching and building may each take.
    type: int
    default: 900
  before_build:
    description:
      - Commands, each a list of words, that O(user) runs in the release before it is built. They find the variables of
        O(environment_file) in their environment. They shape the release, so other commands make another one.
    type: list
    elements: list
    default: []
    version_added: 0.2.0
  after_build:
    description: Commands as in O(before_build), after the build.
    type: list
    elements: list
    default: []
    version_added: 0.2.0
  environment_file:
    description: File on the host with the service's environment, for O(before_build) and O(after_build) alone.
    type: path
    version_added: 0.2.0
  build_environment:
    description: Additional variables of the build. Not for secrets.
    type: dict
    default: {}
  build_heap_limit_mb:
    description: Heap limit of the build's Node.js processes in MB; 0 for Node's own.
    type: int
    default: 0
  registry:
    description: Address of a package registry; empty for the package manager's own.
    type: str
    default: ""
  ca_file:
    description: File on the host with extra certificate authorities; empty for none.
    type: str
    default: ""
  shared:
    description: Directory whose content outlives releases.
    type: path
    required: true
  shared_directories:
    description: Directories below O(shared) that are linked into the release. An empty one is filled with its files.
    type: list
    elements: str
    default: []
  shared_files:
    description: Files below O(shared) that are linked into the release. They must be there.
    type: list
    elements: str
    default: []
  writable:
    description: Whether the service's user owns the release's files and may change them.
    type: bool
    default: false
  writable_directories:
    description: Directories, relative to the release, that belong to the service's user all the same. Made if missing.
    type: list
    elements: str
    default: []
  keep:
    description: How many releases stay; those that O(active) and O(protect) name always do.
    type: int
    default: 5
  active:
    description: Link to the directory C(<id>) of the sockets of the active release.
    type: path
    required: true
  protect:
    description: Links to releases that are not to be removed, such as the one that was active before.
    type: list
    elements: path
    default: []
    version_added: 0.2.0
  source:
    description: Filled in on the controller, not to be given.
    type: dict
    default: {}
    suboptions:
      id:
        description: The name that the release is to have.
        type: str
      digest:
        description: Of content and build settings.
        type: str
      archive:
        description: Its path on the host, or its address without what is secret in it.
        type: str
      address:
        description: The whole address, where there is a login or a token in it.
        type: str
        default: ""
      origin:
        description: Where messages say that it is from.
        type: str
        default: ""
      commit:
        description: Of a git source.
        type: str
  deployer:
    description: Filled in on the controller, not to be given. Who deploys, for a second run that must wait.
    type: str
    default: ""
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Put the release on the host
  workbot.stability.release:
    path: /srv/workbot/releases
    directory: /home/me/workbot
    user: workbot
    group: workbot
    bin: /opt/workbot/bin
    shared: /srv/workbot/shared
    active: /srv/workbot/active
  register: release

- name: Build a tag of a private repository
  workbot.stability.release:
    path: /srv/workbot/releases
    git_url: git@git.example.org:team/workbot.git
    git_ref: v1.4.2
    git_key: /home/me/.ssh/workbot_deploy
    version: v1.4.2
    user: workbot
    group: workbot
    bin: /opt/workbot/bin
    shared: /srv/workbot/shared
    active: /srv/workbot/active
"""

RETURN = r"""
told:
  description: Warnings of files that were changed after the release was made, or are not used for the shared ones.
  type: list
  elements: str
  returned: success
release_id:
  description: Name of the release.
  type: str
  returned: success
  sample: 3fa9c1d2e0b7
release_path:
  description: Its directory on the host.
  type: str
  returned: success
made:
  description: Whether the release was not there before.
  type: bool
  returned: success
commit:
  description: Commit of a git source, empty for another one.
  type: str
  returned: success
node_abi:
  description: The Node.js ABI that the release was built for, empty for a prebuilt one.
  type: str
  returned: success
  sample: "137"
linked:
  description: Shared paths that were not linked before.
  type: list
  elements: str
  returned: success
pruned:
  description: Releases that were removed.
  type: list
  elements: str
  returned: success
swept:
  description: Remains of interrupted runs that were removed.
  type: list
  elements: str
  returned: success
ended:
  description: Builds of interrupted runs that still ran, and were ended.
  type: list
  elements: str
  returned: success
  sample: [build of release 3fa9c1d2e0b7 by alice@laptop]
"""

import signal
from typing import Any, NoReturn

from ansible_collections.workbot.stability.plugins.module_utils._host.command import left_running
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._release.job import Job, Outcome, SourceNeededError
from ansible_collections.workbot.stability.plugins.module_utils._release.store import explain


def listing(identifiers: list[str]) -> str:
    """One side of the diff."""
    return "".join(f"release {name}\n" for name in sorted(identifiers))


def stop(number: int, _frame: Any) -> NoReturn:
    """End as after a failure, with nothing left behind."""
    raise SystemExit(128 + number)


def report(job: Job, outcome: Outcome) -> dict[str, Any]:
    """The module's result."""
    return {
        "changed": outcome.changed,
        "release_id": outcome.identifier,
        "release_path": str(job.releases.path(outcome.identifier)),
        "commit": job.commit,
        "node_abi": outcome.node_abi,
        "made": outcome.made,
        "linked": outcome.linked,
        "pruned": outcome.pruned,
        "swept": outcome.swept,
        "ended": outcome.ended,
        "diff": {"before": listing(outcome.before), "after": listing(outcome.after)},
    }


def main() -> None:
    module = Module(
        argument_spec={
            "path": {"type": "path", "required": True},
            "directory": {"type": "str", "default": ""},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "archive": {"type": "str", "default": ""},
            "checksum": {"type": "str", "default": ""},
            "git_url": {"type": "str", "default": ""},
            "git_ref": {"type": "str", "default": "HEAD"},
            # the name of a file
            "git_key": {"type": "str", "default": "", "no_log": False},
            "version": {"type": "str", "default": ""},
            "user": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "bin": {"type": "path", "required": True},
            "build": {"type": "bool", "default": True},
            "build_script": {"type": "str", "default": "build"},
            "program": {"type": "str", "default": ""},
            "build_timeout": {"type": "int", "default": 900},
            "before_build": {"type": "list", "elements": "list", "default": []},
            "after_build": {"type": "list", "elements": "list", "default": []},
            "environment_file": {"type": "path"},
            "build_environment": {"type": "dict", "default": {}},
            "build_heap_limit_mb": {"type": "int", "default": 0},
            "registry": {"type": "str", "default": ""},
            "ca_file": {"type": "str", "default": ""},
            "shared": {"type": "path", "required": True},
            "shared_directories": {"type": "list", "elements": "str", "default": []},
            "shared_files": {"type": "list", "elements": "str", "default": []},
            "writable": {"type": "bool", "default": False},
            "writable_directories": {"type": "list", "elements": "str", "default": []},
            "keep": {"type": "int", "default": 5},
            "active": {"type": "path", "required": True},
            "protect": {"type": "list", "elements": "path", "default": []},
            "source": {
                "type": "dict",
                "default": {},
                "options": {
                    "id": {"type": "str"},
                    "digest": {"type": "str"},
                    "archive": {"type": "str"},
                    # Ansible hides it wherever it occurs in the result: in one without a secret, the archive's name
                    "address": {"type": "str", "default": "", "no_log": True},
                    "origin": {"type": "str", "default": ""},
                    "commit": {"type": "str"},
                },
            },
            "deployer": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, stop)
    job = Job.of(options)
    try:
        outcome = job.predict() if module.check_mode else job.do()
    except SourceNeededError:
        module.exit_json(changed=False, source_needed=True)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=f"Release {job.id}: {explain(error, job.releases.directory)}")
    told = job.told(outcome)
    for text in (*told, *map(left_running, outcome.ended)):
        module.warn(text)
    module.exit_json(told=told, **report(job, outcome))


if __name__ == "__main__":
    main()
