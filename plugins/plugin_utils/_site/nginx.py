# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for a host from the variables of role nginx, before it is looked at: nginx_run.py has the rest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from .._capacity.bodies import bodies_mb, body_limits
from .._capacity.connections import choose_rlimit
from .._fleet.inventory import Groups, Variables, address_of, is_true
from .base import Site

DROP_IN = "/etc/systemd/system/nginx.service.d/hardening.conf"
_YEAR = 31536000
# 128 bytes for each client, as Nginx's documentation says.
_CLIENTS_OF_MEGABYTE = 8000
_LEAST_REQUESTS = 64


class Nginx(Site):
    groups: Groups
    hostvars: Mapping[str, Variables]
    inventory_hostname: str
    nginx_acme_email: str
    nginx_acme_webroot: str
    nginx_body_limit: str
    nginx_client_max_requests: Any
    nginx_hardening: bool
    nginx_health_path: str
    nginx_limit_clients: int
    nginx_port: int
    nginx_rate_limits: Sequence[Mapping[str, Any]]
    nginx_server_names: Sequence[str]
    nginx_tls_certificate: str
    nginx_tls_certificate_file: str
    nginx_tls_enabled: bool
    nginx_tls_hsts: Any
    nginx_tls_http3: bool
    nginx_tls_key_file: str
    nginx_tls_port: int
    nginx_tls_redirect: bool
    nginx_tls_self_signed: bool
    nginx_upstream_servers: Sequence[Mapping[str, Any]]
    nginx_worker_connections: int
    nginx_worker_rlimit_nofile: Any
    service_health_path: str
    service_name: str
    service_websocket_paths: Sequence[str]

    @cached_property
    def id(self) -> str:
        """In the names of Nginx's variables, which have no dashes; no service's name has an underscore.

        Two of them, since what follows begins with one: else shop's websocket_clients would be shop-websocket's
        clients.
        """
        return self.service_name.replace("-", "__")

    @cached_property
    def directory(self) -> str:
        """Without a path: nginx reads it, and what is included, from the directory of nginx.conf."""
        return f"services/{self.service_name}"

    @cached_property
    def access_log(self) -> str:
        return f"/var/log/nginx/{self.service_name}.access.log"

    @cached_property
    def own_packages(self) -> list[str]:
        signs = ["openssl"] if self.nginx_tls_self_signed else []
        return ["nginx", *signs, *(["certbot"] if self.is_ordered else [])]

    @cached_property
    def ports(self) -> list[int]:
        return [self.nginx_port, *([self.nginx_tls_port] if self.nginx_tls_enabled else [])]

    @cached_property
    def names(self) -> list[str]:
        """In their order: the first one is in other files."""
        return [name for name in self.nginx_server_names if name != "_"]

    @cached_property
    def takes_every_name(self) -> bool:
        return "_" in self.nginx_server_names

    @cached_property
    def probe_host(self) -> str:
        """As playbooks ask for it (nginx_health_host_name); the site's own server answers to any name."""
        return (self.names or [f"{self.service_name}.invalid"])[0].replace("*", "www")

    @cached_property
    def websocket_url(self) -> str:
        scheme, port = ("wss", self.nginx_tls_port) if self.is_to_redirect else ("ws", self.nginx_port)
        return f"{scheme}://127.0.0.1:{port}"

    @cached_property
    def certificate_url(self) -> str:
        return f"https://127.0.0.1:{self.nginx_tls_port}" if self.nginx_tls_enabled else ""

    @cached_property
    def is_to_serve_tls(self) -> bool:
        return self.nginx_tls_enabled

    @cached_property
    def is_to_redirect(self) -> bool:
        return self.nginx_tls_enabled and self.nginx_tls_redirect

    @cached_property
    def is_to_serve_http3(self) -> bool:
        return self.nginx_tls_enabled and self.nginx_tls_http3

    @cached_property
    def is_ordered(self) -> bool:
        """Whether certbot orders the certificate."""
        return self.nginx_tls_enabled and self.nginx_acme_email != ""

    @cached_property
    def hsts(self) -> int:
        if self.nginx_tls_hsts == "auto":
            return _YEAR if self.is_ordered else 0
        return int(self.nginx_tls_hsts)

    @cached_property
    def hsts_waits(self) -> bool:
        """For the proof that the certificate gets renewed: browsers insist for a year on what they were sent."""
        return self.nginx_tls_hsts == "auto" and self.is_ordered

    @cached_property
    def siblings(self) -> list[str]:
        """The proxies that the names may lead to as well, where the authority may look for this one's challenge."""
        if not self.is_ordered:
            return []
        proxies = self.groups.get("proxy", ())
        return [address_of(name, self.hostvars[name]) for name in proxies if name != self.inventory_hostname]

    @cached_property
    def lineage(self) -> str:
        """Where certbot has the certificate that it orders."""
        return f"/etc/letsencrypt/live/{self.service_name}"

    @cached_property
    def certificate(self) -> str:
        if self.is_ordered:
            return f"{self.lineage}/fullchain.pem"
        return self.nginx_tls_certificate_file or f"{self._own_certificate}.crt"

    @cached_property
    def key(self) -> str:
        if self.is_ordered:
            return f"{self.lineage}/privkey.pem"
        return self.nginx_tls_key_file or f"{self._own_certificate}.key"

    @cached_property
    def is_given(self) -> bool:
        """Whether certificate and key are texts of variables."""
        return self.nginx_tls_enabled and self.nginx_tls_certificate != ""

    @cached_property
    def _own_certificate(self) -> str:
        names = hashlib.sha256(" ".join(self.nginx_server_names).encode()).hexdigest()[:8]
        return f"/etc/nginx/{self.directory}/{f'self-signed-{names}' if self.nginx_tls_self_signed else 'tls'}"

    @cached_property
    def certificate_names(self) -> list[str]:
        """Of a certificate that is made here: any name where all will do."""
        return self.names or [f"{self.service_name}.invalid"]

    @cached_property
    def alternative_names(self) -> str:
        kinds = ("IP" if re.fullmatch("[0-9.]+", name) else "DNS" for name in self.certificate_names)
        return ",".join(f"{kind}:{name}" for kind, name in zip(kinds, self.certificate_names, strict=True))

    @cached_property
    def served_certificate(self) -> dict[str, Any]:
        """One from an authority may be for the names of before, or have expired: the order for the next comes later."""
        own = self.certificate_names if self.nginx_tls_self_signed else self.names
        return {
            "certificate": self.certificate,
            "key": self.key,
            "names": [] if self.is_ordered else own,
            "made_by_play": self.nginx_tls_self_signed or self.is_ordered,
            "valid_days_left": -36500 if self.is_ordered else 0,
        }

    @cached_property
    def hook_settings(self) -> dict[str, Any]:
        """What certbot calls after each renewal reads this: plugins/module_utils/_programs/certificate.py."""
        return {
            "name": self.service_name,
            "certificate": self.certificate,
            "key": self.key,
            "host": self.probe_host,
            "port": self.nginx_tls_port,
        }

    @cached_property
    def run_directories(self) -> list[dict[str, Any]]:
        """For the authority's challenge, and for the drop-in of Nginx's unit."""
        challenge = [{"path": self.nginx_acme_webroot, "keep": True}] if self.nginx_acme_webroot else []
        return [*challenge, *({"path": str(PurePosixPath(path).parent)} for path in self.drop_ins)]

    @cached_property
    def drop_ins(self) -> list[str]:
        return [DROP_IN] if self.nginx_hardening else []

    @cached_property
    def backups(self) -> int:
        """How many of the servers behind are asked only when no other one answers."""
        return sum(is_true(server.get("backup", False)) for server in self.nginx_upstream_servers)

    @cached_property
    def zone_size(self) -> str:
        return f"{max(1, -(-self.nginx_limit_clients // _CLIENTS_OF_MEGABYTE))}m"

    @cached_property
    def client_requests(self) -> int:
        if self.nginx_client_max_requests == "auto":
            return max(_LEAST_REQUESTS, self.nginx_worker_connections // 8)
        return int(self.nginx_client_max_requests)

    @cached_property
    def own_health_paths(self) -> list[str]:
        """The service's. One at the front page stays a page: health has nginx_health_path alone there."""
        return [path for path in [self.service_health_path] if path not in ("/", self.nginx_health_path)]

    @cached_property
    def unlimited_paths(self) -> list[str]:
        return [self.nginx_health_path, *self.own_health_paths, *self.service_websocket_paths]

    @cached_property
    def limits(self) -> list[dict[str, Any]]:
        """Of requests, each with Nginx's `rate` (requests per minute) and the `pause` (seconds) between two."""
        found = []
        for limit in self.nginx_rate_limits:
            requests, window = int(limit["requests"]), int(limit["window"])
            found.append({**limit, "rate": requests * 60 // window, "pause": -(-window // requests)})
        return found

    @cached_property
    def bodies(self) -> list[dict[str, Any]]:
        return body_limits(bodies_mb(self._value("ansible_facts").get("mounts") or ()), self.nginx_body_limit)

    @cached_property
    def worker_rlimit_nofile(self) -> int:
        return choose_rlimit(self.nginx_worker_rlimit_nofile, self.nginx_worker_connections)
