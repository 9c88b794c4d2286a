# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that choose the processes of a service."""

    DOCUMENTATION = r"""
options:
  pm2_apps:
    description: Names of the PM2 apps whose processes are judged.
    type: list
    elements: str
    default: []
  pm2_prefix:
    description: Judges the processes of every PM2 app whose name begins so.
    type: str
    default: ""
  pm2_home:
    description: PM2_HOME of the daemon; required to choose by PM2 app.
    type: path
  pm2_user:
    description: The user whose daemon it is; C(pm2) is run as that user. Required to choose by PM2 app.
    type: str
  pm2_bin:
    description: Directory that holds C(pm2) and C(node).
    type: path
    default: /usr/bin
  pid_file:
    description: File with the id of the service's process.
    type: path
  systemd_unit:
    description: Unit whose main process is the service.
    type: str
"""
