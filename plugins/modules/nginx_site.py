#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes an nginx configuration as one transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_site
short_description: Change an nginx configuration as one transaction
version_added: 0.1.0
description:
  - Brings a site's files below C(/etc/nginx) to the desired state, all of them or none.
  - When something differs, the host's whole configuration is copied, the new files are put into the copy, the
    certificates are checked there, and nginx tests that. Only a configuration that nginx accepts is swapped in, by
    renaming each file, and reloaded. The module then waits until workers with the new configuration serve and the old
    ones do not, and asks what O(probes) says. When any of this fails, the previous files and the previous running
    configuration are back.
  - Each site has a record of its files in C(/var/lib/nginx_site). Files that it no longer wants are removed. Files of
    other sites, and those of nobody, are never touched.
  - A configuration that was broken before is reported as such, and left alone.
  - A run that was killed in the middle of a change is undone by the next one. Runs at once wait for one another.
  - When nothing differs, nothing is tested, reloaded or asked; a stopped nginx is started.
options:
  name:
    description:
      - The site, whose files these are. Letters, digits, dots, dashes and underscores.
      - Required for everything but a look at O(ports) alone.
    type: str
    default: ""
  state:
    description:
      - V(absent) removes everything that the site has on the host, and its part in what it shares. With the last site
        Debian's default site comes back, if O(disable_default_site) had switched it off. A stopped nginx stays stopped.
    type: str
    choices: [present, absent]
    default: present
  files:
    description:
      - The files that this site alone has.
      - A file that is there already, holds something else, and is in no record, is foreign and refused. One
        that is as desired becomes the site's. One of the site's that was edited by hand is put right.
    type: list
    elements: dict
    default: []
    suboptions:
      path: &path
        description: Where the file is, relative to C(/etc/nginx). Missing directories are made.
        type: str
        required: true
      content: &content
        description: The text of the file, unless there is a template for it.
        type: str
        default: ""
      template: &template
        description: Name of a template, found where P(ansible.builtin.template#module) finds it.
        type: str
      variables: &variables
        description: Variables of the template besides those of the host.
        type: dict
      mode: &mode
        description: The mode of the file, as octal digits in quotes.
        type: str
        default: "0644"
  secret_files:
    description:
      - Files that hold a secret, such as the key of a certificate, by path relative to C(/etc/nginx), with their text.
      - Their mode is 0600, and neither differences nor errors show what is in them.
    type: dict
    default: {}
  shared_files:
    description:
      - Files that several sites want alike, such as a log format. They stay until the last of these sites has gone.
      - Sites must want the same content and mode, unless the versions differ. The file then is that of the highest
        version, so that sites can be brought to a new one after another.
    type: list
    elements: dict
    default: []
    suboptions:
      path: *path
      content: *content
      template: *template
      variables: *variables
      mode: *mode
      version:
        description: Which of several contents counts, the one with the highest version.
        type: int
        default: 1
  worker_limits:
    description:
      - Directives that exist once for the host, in C(modules-enabled/90-worker-limits.conf); of several the largest.
    type: dict
    default: {}
    suboptions:
      worker_rlimit_nofile:
        description: Open files per worker. 0 is the same as none.
        type: int
      worker_shutdown_timeout:
        description: How long workers of an old configuration wait for their last connections, such as 1h.
        type: str
      worker_connections:
        description: Connections per worker. The number in C(nginx.conf) is raised; the last site to go puts it back.
        type: int
  absent:
    description:
      - Files and links that are to be absent, relative to C(/etc/nginx), unless another site has them in its record.
    type: list
    elements: str
    default: []
  logs:
    description:
      - Names of log files in C(/var/log/nginx) that the configuration writes.
      - Missing ones are made as by Debian's logrotate policy (C(www-data), C(adm), 0640), not readable for everyone.
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
  server_names:
    description:
      - Names that the site is to have on each of O(ports); V(_) stands for every other name.
      - The module fails when another file has one of them there. It changes nothing in any case, so that a play can ask
        before its first change. Files of O(absent) do not count, nor does Debian's untouched default site.
      - Read are C(nginx.conf) and the files of C(conf.d) and C(sites-enabled), not what these include.
    type: list
    elements: str
    default: []
  disable_default_site:
    description:
      - Remove C(sites-enabled/default) if it still is the link that Debian made, to a file that nobody changed.
    type: bool
    default: false
  certificates:
    description:
      - Certificates that are checked before nginx gets them, in the copy. Each must be readable, fit its key, be valid
        now, and be followed by its issuers in order.
      - When the files are foreign, such as certbot's, and have changed since the last run, nginx is reloaded.
    type: list
    elements: dict
    default: []
    suboptions:
      certificate:
        description: The certificate and its chain in PEM form; a path, absolute or relative to C(/etc/nginx).
        type: str
        required: true
      key:
        description: Its private key; a path, absolute or relative to C(/etc/nginx).
        type: str
        required: true
      names:
        description: Host names or addresses that it must be for. V(*.example.org) stands for every name below it.
        type: list
        elements: str
        default: []
      valid_days_left:
        description: Days that it must at least be valid for. If negative, it may have expired so many days ago.
        type: float
        default: 0
      made_by_play:
        description:
          - Whether an earlier task of the play makes the files. While they are missing, check mode, which only predicts
            that task, leaves out the test.
        type: bool
        default: false
  probes:
    description:
      - Questions to the running nginx after the change. One that is not answered as expected undoes the change.
      - Each is asked by O(probes[].url), or by O(probes[].address) and what goes with it; given both, the latter count.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Scheme (http, https, ws or wss), name, port and path in one.
        type: str
      address:
        description: The address to connect to; 127.0.0.1 unless a URL is given.
        type: str
      port:
        description: The port to connect to, by default that of the scheme.
        type: int
      host:
        description: The host name to ask for, also in the TLS handshake; by default the address.
        type: str
      path:
        description: The path to ask for, by default V(/).
        type: str
      scheme:
        description: V(https) is the same as O(probes[].tls).
        type: str
        choices: [http, https]
      tls:
        description: Whether to ask over TLS. Any certificate is accepted; see O(probes[].certificate_chain).
        type: bool
      expect_status:
        description: The statuses that are right. Redirects are not followed.
        type: list
        elements: int
        default: [200]
      websocket:
        description: Whether to ask for a WebSocket, whose handshake must succeed (status 101).
        type: bool
        default: false
      certificate_chain:
        description:
          - A file, absolute or relative to C(/etc/nginx), whose certificates must be those that are served, in order.
          - Where the host's Python is older than 3.13, only the first one is compared.
        type: str
        default: ""
      if_healthy:
        description:
          - Ask the same before the change, and if it fails then, do not hold it against the change. For what needs the
            service behind nginx, which may be down. A site or a name that is new is not asked, before or after.
        type: bool
        default: false
      timeout:
        description: Seconds within which the right answer must come. Until then the question is repeated.
        type: float
        default: 5
  limit_zones:
    description: Names of zones of C(limit_req_zone) or C(limit_conn_zone) that the whole configuration must have.
    type: list
    elements: str
    default: []
  announce:
    description:
      - Seconds at most to wait before a reload, while clients are connected. Meanwhile C(/run/nginx_closing) is there.
        A reload closes idle connections, and a request that is sent at that moment gets no answer. A site that answers
        with C(Connection) C(close) while the file is there has its clients open another one in good time.
    type: float
    default: 0
  read:
    description: Files whose text is returned as it was before.
    type: list
    elements: str
    default: []
  unchanged:
    description: RV(texts) of an earlier task. Where a file holds something else by now, nothing is changed.
    type: dict
    default: {}
author: workbot.stability contributors (@workbot)
attributes:
  check_mode:
    description:
      - Predicts the changes and tests them in a copy. The test is left out where nginx is not installed, or a
        certificate is not made yet (O(certificates[].made_by_play)).
    support: full
  diff_mode:
    description: Shows each file that changes; of a secret one only that it does.
    support: full
notes:
  - Needs systemd and a configuration directory laid out as Debian's packages do.
  - A file whose name ends in C(.conf) must be included by C(nginx.conf), in Debian by its place in C(modules-enabled),
    C(conf.d) or C(sites-enabled); a file that would have no effect is refused.
"""

EXAMPLES = r"""
- name: Install the site
  workbot.stability.nginx_site:
    name: shop
    files:
      - {path: conf.d/shop.conf, template: shop.conf.j2}
      - {path: shop/chain.pem, content: "{{ shop_certificate }}"}
    secret_files:
      shop/key.pem: "{{ shop_key }}"
    shared_files:
      - {path: conf.d/00-log-format.conf, content: "log_format short '$status $request';\n"}
    worker_limits: {worker_rlimit_nofile: 4096, worker_shutdown_timeout: 1h, worker_connections: 4096}
    logs: [shop.access.log]
    ports: [80, 443]
    disable_default_site: true
    certificates:
      - {certificate: shop/chain.pem, key: shop/key.pem, names: [shop.example.org], valid_days_left: 7}
    probes:
      - {url: "https://shop.example.org/health", address: 127.0.0.1, certificate_chain: shop/chain.pem}
      - {url: "wss://shop.example.org/ws", address: 127.0.0.1, websocket: true, if_healthy: true}
    limit_zones: [shop_api]

- name: Remove it
  workbot.stability.nginx_site:
    name: shop
    state: absent

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
adopted_files:
  description: The paths that were there as desired, and became the site's.
  returned: success
  type: list
  elements: str
edited_files:
  description: Those of the changed files that somebody had edited or removed since the last run.
  returned: success
  type: list
  elements: str
renewed_certificates:
  description: The paths of certificates and keys of somebody else that nginx has not read yet in this form.
  returned: success
  type: list
  elements: str
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
in_use:
  description: Whether nginx is on the host, and serves more than Debian's package brought.
  returned: success
  type: bool
ipv6:
  description: Whether the host's kernel has IPv6, so that nginx can listen on it.
  returned: success
  type: bool
version:
  description: The version of nginx, empty where it is not installed.
  returned: success
  type: str
  sample: 1.26.3
worker_connections:
  description: The connections of each worker, as C(nginx.conf) says; 0 where it does not say.
  returned: success
  type: int
  sample: 768
texts:
  description: The files of O(read) by their paths, empty where there is none.
  returned: success
  type: dict
"""

from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module
from ansible_collections.workbot.stability.plugins.module_utils._nginx.apply import apply
from ansible_collections.workbot.stability.plugins.module_utils._nginx.debian import is_in_use
from ansible_collections.workbot.stability.plugins.module_utils._nginx.options import argument_spec, desired
from ansible_collections.workbot.stability.plugins.module_utils._nginx.service import (
    has_ipv6,
    installed_version,
    worker_connections,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout


def main() -> None:
    module = Module(argument_spec=argument_spec(), supports_check_mode=True)
    layout = Layout()
    texts = {path: layout.text_of(path) for path in module.params["read"]}
    try:
        result = apply(desired(module.params), layout, check=module.check_mode)
    except (StabilityError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=result.changed(),
        changed_files=[str(layout.config / change.path) for change in result.changes] + result.created_logs,
        adopted_files=[str(layout.config / path) for path in result.plan.adopted],
        edited_files=[str(layout.config / path) for path in result.plan.edited],
        renewed_certificates=[str(layout.find(path)) for path in result.plan.renewed],
        reloaded=result.reloaded,
        started=result.started,
        recovered=result.recovered,
        in_use=is_in_use(layout),
        ipv6=has_ipv6(),
        version=installed_version(layout),
        worker_connections=worker_connections(layout),
        texts=texts,
        diff=[change.diff(layout.config) for change in result.changes],
    )


if __name__ == "__main__":
    main()
