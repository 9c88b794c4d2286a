# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where a service's activations are, and how they are asked for their health; to stand before the fragment pm2."""

    DOCUMENTATION = r"""
options:
  service:
    description: Name of the service. Its PM2 apps are called after it, C(<service>-<activation>).
    type: str
    required: true
  directory:
    description:
      - Directory of the service. Below it are C(releases/<id>/), the links C(active), C(current) and C(previous), links
        to the sockets of each activation in C(sockets/), C(config/environment), a copy of that for each activation in
        C(config/environments/), and the ecosystem file C(config/ecosystem.config.cjs).
    type: path
    required: true
  run_directory:
    description: Directory in which the service makes its sockets.
    type: path
    required: true
  user:
    description: User of the service and of its PM2 daemon.
    type: str
    required: true
  health_path:
    description: Path that answers whether a worker is healthy.
    type: str
    default: /
  health_timeout:
    description: Seconds that one answer may take.
    type: float
    default: 5
  proxy_url:
    description: Address of the health endpoint through the proxy. Empty for none.
    type: str
    default: ""
  proxy_headers:
    description: Headers for that.
    type: dict
    default: {}
"""
