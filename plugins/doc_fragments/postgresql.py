# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How the modules that talk to a PostgreSQL server reach it."""

    DOCUMENTATION = r"""
options:
  login_db:
    description: The database.
    type: str
    required: true
    aliases: [db, database]
  login_user:
    description: Whom to connect as.
    type: str
    default: postgres
    aliases: [login]
  login_password:
    description: The password of O(login_user), where the server asks for one.
    type: str
    default: ""
  login_host:
    description: Host of the server. Empty for the unix socket.
    type: str
    default: ""
    aliases: [host]
  login_unix_socket:
    description: Directory of the server's unix socket, where it is not the library's default.
    type: path
    default: ""
    aliases: [unix_socket]
  login_port:
    description: Port of the server.
    type: int
    default: 5432
  ssl_mode:
    description: Whether the connection is encrypted and the server's certificate checked, as libpq's C(sslmode).
    type: str
    default: prefer
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
  ca_cert:
    description: File with the certificate authorities that may have signed the server's certificate.
    type: path
    aliases: [ssl_rootcert]
  ca_cert_content:
    description: The same authorities as PEM text, for a host that has no such file yet. Wins over O(ca_cert).
    type: str
    default: ""
  ssl_cert:
    description: File with the client's certificate.
    type: path
  ssl_key:
    description: File with the client's key.
    type: path
  connect_timeout:
    description: Seconds within which the server must have answered.
    type: int
    default: 10
  connect_params:
    description: Further connection parameters of libpq. They win over the others.
    type: dict
    default: {}
requirements:
  - psycopg 3.1 or newer, or psycopg2 2.8 or newer, on the host (Debian's python3-psycopg or python3-psycopg2)
"""
