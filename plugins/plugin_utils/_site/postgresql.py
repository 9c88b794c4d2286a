# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role postgresql: the server, who gets in, and as whom a run logs in.

No secret is read here, since what is found is kept among the host's variables: a login's password is the task's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .._fleet.inventory import is_ip
from .base import Site
from .limits import consumer

_SOCKET = "/run/postgresql"
# postgres_exporter of the role exporters, which all services of the server share.
_EXPORTER = "prometheus"
# The certificate is the server's, not the service's, and outlives a new version of Debian.
_TLS = "/etc/postgresql-common/tls"
_TLS_FILES = (f"{_TLS}/server.pem", f"{_TLS}/server.key")
_TLS_SETTINGS = {
    "ssl": "on",
    "ssl_cert_file": _TLS_FILES[0],
    "ssl_key_file": _TLS_FILES[1],
    "ssl_min_protocol_version": "TLSv1.2",
}
# It reads every statistic and no data.
_EXPORTER_ROLE = {
    "name": _EXPORTER,
    "configuration": {"default_transaction_read_only": "on", "search_path": "pg_catalog", "statement_timeout": "10s"},
    "member_of": ["pg_monitor"],
    "connections": 3,
}
_STATEMENTS = "pg_stat_statements"


class Postgresql(Site):
    inventory_hostname: str
    postgresql_admin_user: str
    postgresql_diagnosis_user: str
    postgresql_has_diagnosis_password: bool
    postgresql_idle_in_transaction_timeout: int
    postgresql_listen_addresses: Sequence[str]
    postgresql_lock_timeout: int
    postgresql_owner: str
    postgresql_preload_libraries: Sequence[str]
    postgresql_settings: Mapping[str, Any]
    postgresql_statement_timeout: int
    postgresql_tls_certificate: str
    service_address: str
    service_database_ca: str
    service_database_ca_file: str
    service_database_clients: Mapping[str, str]
    service_database_enabled: bool
    service_database_host: str
    service_database_is_local: bool
    service_database_max_connections: int
    service_database_name: str
    service_database_port: int
    service_database_server: str
    service_database_tls: str
    service_database_user: str
    service_is_external: bool
    service_monitor: str
    service_name: str
    service_plan: Mapping[str, Any]
    service_runs_here: bool
    service_user: str

    @cached_property
    def packages(self) -> list[str]:
        # acl lets Ansible become the user postgres where pipelining is off
        return [
            *(["acl", "postgresql"] if self.service_database_is_local else ["postgresql-client"]),
            "python3-psycopg",
            *(["python3-cryptography"] if self.serves_others else []),
            *(["ca-certificates"] if self.service_database_ca.startswith("/etc/ssl/") else []),
        ]

    @cached_property
    def serves_others(self) -> bool:
        """Return whether app hosts elsewhere use this host's server."""
        return len(self.service_database_clients) > 0

    @cached_property
    def is_client(self) -> bool:
        """Return whether this host uses the server of another one in the inventory."""
        return self.service_database_server != ""

    @cached_property
    def has_fleet(self) -> bool:
        return self.is_client or self.serves_others

    @cached_property
    def administers(self) -> bool:
        """Return whether a run creates the database and the roles: over the socket as the user postgres, or with a
        password elsewhere. What an existing service has there is foreign.
        """
        is_told = self.postgresql_admin_user != "" and not self.is_client and not self.service_is_external
        return self.service_database_is_local or is_told

    @cached_property
    def authority_file(self) -> str:
        """Return the controller's file of the server's authorities; "" if that host is asked for its own, or nobody."""
        return self.service_database_ca_file if self.service_database_tls == "verify-full" else ""

    @cached_property
    def advice(self) -> str:
        """Return what to do if the database host does not let this one in."""
        if not self.is_client:
            return ""
        return (
            f"{self.service_database_server} lets in the app hosts by service_address, over TLS: apply the playbook to"
            " it with the inventory as it is now."
        )

    @cached_property
    def admin_login(self) -> dict[str, Any]:
        user = "postgres" if self.service_database_is_local else self.postgresql_admin_user
        return {**self._server, "login_user": user}

    @cached_property
    def owner_login(self) -> dict[str, Any]:
        """Return the login that creates tables and indexes, which is the service's own: a role that a superuser takes
        on is no less than the superuser to a trigger or a function of the service.
        """
        return {**self._server, "login_user": self.service_database_user}

    @cached_property
    def login(self) -> dict[str, Any]:
        """Return the login that asks the server before anything changes."""
        if self.administers:
            return {**self.admin_login, "login_db": "postgres"}
        return {**self.owner_login, "login_db": self.service_database_name}

    @cached_property
    def consumers(self) -> list[dict[str, Any]]:
        name, role, database = self.service_name, self.service_database_user, self.service_database_name
        return [consumer(self.service_plan, name, role, database)] if self.service_runs_here else []

    @cached_property
    def diagnosis_login(self) -> dict[str, Any]:
        """Return the login of role diagnostics in the words of libpq, without its password; empty if it has none."""
        if not self.service_database_enabled or not self._has_diagnosis:
            return {}
        found = {
            "host": _SOCKET if self.service_database_is_local else self.service_database_host,
            "port": self.service_database_port,
            "user": self.postgresql_diagnosis_user,
            "dbname": self.service_database_name,
            "sslmode": self.service_database_tls,
            "sslrootcert": self.service_database_ca,
        }
        return {name: value for name, value in found.items() if value}

    @cached_property
    def settings(self) -> dict[str, Any]:
        libraries = self.postgresql_preload_libraries
        return {  # the later ones win
            # those that follow from the part of the host's memory that the plan gives the server
            **self.service_plan["database_settings"],
            "max_connections": self.service_database_max_connections,
            "listen_addresses": ",".join(self._listen_addresses),
            "password_encryption": "scram-sha-256",
            "shared_preload_libraries": ",".join(libraries),
            **(_TLS_SETTINGS if self.serves_others else {}),
            # Statements that are not queries stay out of it: CREATE ROLE would be kept there with its password.
            **({f"{_STATEMENTS}.track_utility": "off"} if _STATEMENTS in libraries else {}),
            **self.postgresql_settings,
        }

    @cached_property
    def certificate_names(self) -> list[str]:
        # the app hosts use the address; a given certificate need not know what this inventory calls the host
        return [self.service_address, *([] if self.postgresql_tls_certificate else [self.inventory_hostname])]

    @cached_property
    def certificate_directory(self) -> str:
        return _TLS

    @cached_property
    def certificate_files(self) -> list[str]:
        """Return the files that the server must have read."""
        return [*_TLS_FILES] if self.serves_others else []

    @cached_property
    def client_addresses(self) -> list[str]:
        return [address for address in self.service_database_clients.values() if is_ip(address)]

    @cached_property
    def client_names(self) -> list[str]:
        """Return the names of app hosts, for whose addresses this host has to be asked."""
        clients = self.service_database_clients.values()
        return [name for name in dict.fromkeys(clients) if not is_ip(name)]

    @cached_property
    def access(self) -> str:
        """Return the lines of pg_hba.conf, with {client} in those that each address of an app host elsewhere gets.

        Over the socket the administrator, and the monitor's exporter; the service with its password over loopback (over
        the socket if service_database_host names that), the diagnosis role over the socket; from the app hosts
        elsewhere both over TLS alone. Over the socket root is the service's role as well: its tables and indexes are
        made as nobody with more power.
        """
        database, user = self.service_database_name, self.service_database_user
        diagnosis = self.postgresql_diagnosis_user
        lines = ["local all postgres peer"]
        if self._is_monitored:
            lines.append(f"local postgres {_EXPORTER} peer")
        users = [user, *([diagnosis] if self.postgresql_has_diagnosis_password else [])]
        lines += [f"hostssl {database} {name} {{client}} scram-sha-256" for name in users]
        if self.service_runs_here and not self._is_asked_at_socket:
            lines += [f"host {database} {user} {address} scram-sha-256" for address in ("127.0.0.1/32", "::1/128")]
        return "\n".join([*lines, f"local {database} {user},{diagnosis} peer map={self.service_name}"])

    @cached_property
    def identities(self) -> str:
        """Return the lines of pg_ident.conf."""
        roles = [(self.service_user, self.postgresql_diagnosis_user)]
        if self.service_runs_here and self._is_asked_at_socket:
            roles.append((self.service_user, self.service_database_user))
        roles.append(("root", self.service_database_user))
        return "\n".join(f"{self.service_name} {user} {role}" for user, role in roles)

    @cached_property
    def owner(self) -> str:
        """Return the owner of the database; "" if somebody else creates it."""
        return self.postgresql_owner if self.administers else ""

    @cached_property
    def diagnosis_role(self) -> str:
        return self.postgresql_diagnosis_user if self._has_diagnosis else ""

    @cached_property
    def roles(self) -> list[dict[str, Any]]:
        diagnosis = [self._diagnosis] if self._has_diagnosis else []
        return [*self._service_roles, *diagnosis, *([_EXPORTER_ROLE] if self._is_monitored else [])]

    @cached_property
    def role_names(self) -> list[str]:
        return [role["name"] for role in self.roles]

    @cached_property
    def rights(self) -> list[dict[str, Any]]:
        """Return what each role may do. The service creates tables in the schema public and schemas of its own, as
        migration tools do for their records, and owns nothing else: who owns a database can drop it.
        """
        user, public = self.service_database_user, {"type": "schema", "objs": "public"}
        diagnosis = [{"role": self.postgresql_diagnosis_user, "privs": ["CONNECT"]}] if self._has_diagnosis else []
        return [
            {"role": "PUBLIC", "privs": ["CONNECT", "TEMPORARY"], "state": "absent"},
            {"role": "PUBLIC", "privs": ["CREATE"], **public, "state": "absent"},
            {"role": user, "privs": ["CONNECT", "CREATE", "TEMPORARY"]},
            {"role": user, "privs": ["CREATE", "USAGE"], **public},
            *diagnosis,
        ]

    @cached_property
    def _service_roles(self) -> list[dict[str, Any]]:
        return [
            {"name": self.postgresql_owner, "login": False},
            {
                "name": self.service_database_user,
                # Its pools, and as many as a migration and a probe need beside full ones: a leak ends there, not at the
                # server's limit.
                "connections": self.service_plan["service_connections"],
                "configuration": {
                    "statement_timeout": f"{self.postgresql_statement_timeout}s",
                    "lock_timeout": f"{self.postgresql_lock_timeout}s",
                    "idle_in_transaction_session_timeout": f"{self.postgresql_idle_in_transaction_timeout}s",
                    # whatever somebody has the database be for a while
                    "default_transaction_read_only": "off",
                },
            },
        ]

    @cached_property
    def _diagnosis(self) -> dict[str, Any]:
        # The service's user is this role as well: of the server's statistics it reads what the functions of its own
        # database show, not what pg_read_all_stats would show of every neighbour.
        return {
            "name": self.postgresql_diagnosis_user,
            "connections": self.service_plan["diagnosis_connections"],
            "configuration": {"default_transaction_read_only": "on", "statement_timeout": "10s"},
            "member_of": [],
        }

    @cached_property
    def _has_diagnosis(self) -> bool:
        # on this host the service's user is the diagnosis role, without a password; elsewhere it needs one
        return self.service_database_is_local or self.postgresql_has_diagnosis_password

    @cached_property
    def _is_monitored(self) -> bool:
        return self.service_database_is_local and self.service_monitor != ""

    @cached_property
    def _is_asked_at_socket(self) -> bool:
        return self.service_database_host.startswith("/")

    @cached_property
    def _listen_addresses(self) -> list[str]:
        given = self.postgresql_listen_addresses
        own = [self.service_address] if self.serves_others and "*" not in given else []
        return list(dict.fromkeys([*given, *own]))

    @cached_property
    def _server(self) -> dict[str, Any]:
        """Return where the server is, in the words of the modules."""
        if self.service_database_is_local:
            place = {"login_unix_socket": _SOCKET}
        else:
            place = {"login_host": self.service_database_host}
        tls = {"ssl_mode": self.service_database_tls, "ca_cert": self.service_database_ca}
        given = {name: value for name, value in tls.items() if value}
        return {**place, "login_port": self.service_database_port, **given}
