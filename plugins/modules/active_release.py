#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: active_release
short_description: Takes a release of a Node.js service into service without a failed request
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Starts the release beside the active one, under a PM2 daemon of its own, asks every worker for its health, each on
    its own unix socket, replaces the link that the proxy follows, drains the old processes and stops them. All in one
    call on the host.
  - Whatever goes wrong before the old processes are stopped is put back. The old release serves all the time, the
    new one's processes, files and entries are removed, and the module fails with the step, the cause and the end of
    the app's log.
  - The same release with other settings (environment file, memory limits, instances, any field of the app), under
    another Node.js or PM2, or in the place of a PM2 that is gone or does not answer, goes the same way, as another
    activation of it. Each activation has its own copy of the environment file, so the old one keeps its settings to
    the end.
  - When nothing differs, nothing is touched.
  - A lost connection to the controller stops nothing. What a killed run or a power cut leaves is removed by the next
    run, and the active release comes up at boot.
  - Each activation is an instance of the systemd unit C(<service>@.service), which must be there.
attributes:
  action:
    description: Names who deploys on the controller.
    support: full
  check_mode:
    description: Predicts what would be done.
    support: full
  diff_mode:
    description: Shows the ecosystem file, the links and the steps. Values of an environment are never shown.
    support: full
extends_documentation_fragment: [workbot.stability.activation, workbot.stability.pm2, workbot.stability.pm2.timeout]
options:
  release:
    description: The release, a directory below C(releases), or V(previous). Empty for the active one.
    type: str
    default: ""
  app:
    description:
      - Fields of PM2's ecosystem file, as M(workbot.stability.pm2_app) has them. C(name), C(cwd), the socket's variable
        and C(--env-file) are added for each activation. C(script) is relative to the release.
    type: dict
    required: true
  loader:
    description: Module, relative to the release, that Node.js imports before the program.
    type: str
    default: ""
  socket_variable:
    description:
      - Environment variable that tells the program where to listen. It holds the socket of the first instance; a
        preloaded script has to put C(@<instance>.sock) in the place of C(@0.sock), by PM2's C(instance_var).
    type: str
    default: PORT
  listen_port:
    description:
      - For a program that can listen only on a TCP port. O(socket_variable) holds this number then, and
        C(LISTEN_SOCKET) the socket that the preloaded script has to put in its place. V(0) for none.
    type: int
    default: 0
  preloads:
    description:
      - Files that are read when an activation starts, such as what each process loads first, and the unit. One that is
        older than one of them is replaced.
    type: list
    elements: path
    default: []
  group:
    description: Group that may read the ecosystem file.
    type: str
    required: true
  start_timeout:
    description: Seconds within which every worker must have answered healthily.
    type: float
    default: 60
  stay_up:
    description: Seconds for which all must go on doing so, without a restart, before the switch.
    type: float
    default: 3
  proxy_url:
    description:
      - Address of the health endpoint through the proxy, asked before and after the switch. When it was healthy before
        and is not after, the switch is undone. Empty for none.
  drain_time:
    description:
      - Seconds at most that the old processes keep the connections they have. Without any they are stopped at once.
        Until then the new ones are watched, and when they turn bad, the old ones get their place back.
    type: float
    default: 60
  overlap:
    description:
      - Whether the old and the new processes may run at the same time. V(false) is for a program of which never two may
        run; its C(instances) must be 1. The old process is stopped first, and started again when the new one does not
        come up.
      - Meanwhile requests wait on the socket C(hold.sock) in O(directory), if the proxy has it as its backup, and are
        handed on to the new process when it is healthy.
    type: bool
    default: true
  hooks:
    description:
      - Commands between the steps, each a list of words without a shell. They run as O(user) in the release's
        directory, with the service's environment and C(DEPLOY_RELEASE), C(DEPLOY_PREVIOUS_RELEASE) and
        C(DEPLOY_SOCKET). One that fails undoes the deployment, except O(hooks.after_stop).
    type: dict
    default: {}
    suboptions:
      before_migrate: &hook
        description: Commands at this point.
        type: list
        elements: list
        default: []
      after_migrate: *hook
      before_start: *hook
      after_start: *hook
      before_switch: *hook
      after_switch: *hook
      before_stop: *hook
      after_stop: *hook
  migrate:
    description:
      - Command that migrates the database, run before a release other than the active one is started. The old release
        still serves meanwhile and must get along with the result. Empty for none.
    type: list
    elements: str
    default: []
  hook_timeout:
    description: Seconds that each of these commands may take.
    type: int
    default: 600
  discard_failed:
    description:
      - Whether this play made the release. Its directory is removed then when it does not come up, for whatever reason,
        unless a link names it or another deployment is at work. In check mode it need not be there yet; any other
        release must be.
    type: bool
    default: false
  environment_digest:
    description:
      - For check mode, in which the environment file is not written yet. SHA-256 of what it would hold, as the filter
        P(workbot.stability.dotenv#filter) writes it. Empty when nothing is known.
    type: str
    default: ""
  preloads_pending:
    description: For check mode. Whether one of O(preloads) would have been changed.
    type: bool
    default: false
  tools_pending:
    description: For check mode. Whether another Node.js or PM2 would have been installed.
    type: bool
    default: false
  deployer:
    description: Who deploys, for whoever is kept out meanwhile. Filled in on the controller.
    type: str
    default: ""
  background:
    description:
      - Seconds that it may take, or that O(job) is waited for. The controller's half then only has it begin, and what
        becomes of it is the result of a call with O(job). V(0) for not in the background. Not under mitogen.
    type: int
    default: 0
  job:
    description: What the call that has begun it returned. Then O(directory) and O(background) count alone.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Take a release into service
  workbot.stability.active_release:
    service: shop
    directory: /srv/shop
    run_directory: /run/shop
    release: 3fa9c1d2e0b7
    app:
      script: dist/server.js
      interpreter: node
      exec_mode: cluster
      instances: 2
      out_file: /var/log/shop/out.log
      error_file: /var/log/shop/error.log
    user: shop
    group: shop
    pm2: /opt/shop/bin/pm2
    node: /opt/shop/bin/node
    health_path: /api/health
    proxy_url: http://127.0.0.1/health

- name: Back to the release that was active before
  workbot.stability.active_release:
    service: shop
    directory: /srv/shop
    run_directory: /run/shop
    release: previous
    app: {script: dist/server.js, interpreter: node, exec_mode: cluster, instances: 2}
    user: shop
    group: shop
"""

RETURN = r"""
action:
  description: What was done (in check mode would be). V(restart) brings back workers that PM2 has given up.
  type: str
  returned: success
  sample: activate
release:
  description: Id of the release that serves now.
  type: str
  returned: success
  sample: 3fa9c1d2e0b7
activation:
  description: Name of its activation.
  type: str
  returned: success
  sample: 3fa9c1d2e0b7@2
previous:
  description: Id of the release that was active before this one, empty when there is none.
  type: str
  returned: success
reasons:
  description: What differed. Names of environment variables, never their values.
  type: list
  elements: str
  returned: success
  sample: ["environment file: LOG_LEVEL changed"]
leftovers:
  description: Activations of interrupted runs that were removed.
  type: list
  elements: str
  returned: success
timeline:
  description: The steps and their C(seconds).
  type: list
  elements: dict
  returned: success
  sample: [{step: start, seconds: 1.2}]
drained:
  description: How the old processes were drained. C(seconds), C(connections) at first and those C(left) at the end.
  type: dict
  returned: success
held:
  description:
    - How many C(requests) waited while no process ran, and for how many C(seconds) the first of them. Without
      O(overlap) only.
  type: dict
  returned: success
proxy:
  description: What the check through the proxy said.
  type: str
  returned: success
  sample: healthy
seconds:
  description: How long it took.
  type: float
  returned: success
msg:
  description: One sentence about all this. After a failure, its first line is the cause.
  type: str
  returned: always
serves:
  description: What serves now.
  type: str
  returned: failure
job:
  description: Where the host keeps what becomes of it. Then there is nothing else.
  type: str
  returned: with O(background) and without O(job)
"""

from dataclasses import asdict

from ansible_collections.workbot.stability.plugins.module_utils._deploy.argspec import SPEC, validated
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.lease import lease_path, read
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import run
from ansible_collections.workbot.stability.plugins.module_utils._host.command import left_running
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._pm2.argspec import Pm2Module


def main() -> None:
    module = Pm2Module(argument_spec=SPEC, supports_check_mode=True)
    try:
        context = Context.of(validated(module.params), module.check_mode)
        outcome = run(context)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error), serves=getattr(error, "serves", ""))
    for text in map(left_running, outcome.ended):
        module.warn(text)
    report = outcome.report(context.places.service, module.check_mode)
    # for the controller alone, which knows whether the run that took it still lives
    lease = read(lease_path(context.places.releases))
    module.exit_json(diff=outcome.diff(context.places), lease=asdict(lease) if lease else {}, **report)


if __name__ == "__main__":
    main()
