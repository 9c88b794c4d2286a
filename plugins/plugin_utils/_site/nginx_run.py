# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows for role nginx from its variables and from what tasks have found on the host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from .._capacity.connections import choose_websockets, websocket_room
from .base import Site, UnknownError
from .nginx import DROP_IN

# "listen ... http2" until 1.25.0, "http2 on" since; HTTP/3 as well.
_NEW = (1, 25, 1)
# The version of the shared file for unknown hosts: the highest one that a site of the port wants is there.
_UNKNOWN_PLAIN = 2
_UNKNOWN_TLS = {"intermediate": 6, "modern": 5}
_SITE_FILES = ("http", "upstream", "limits", "server", "locations", "health", "headers")
_PAGES = {
    "429": (
        "429",
        "429",
        "too many requests, try again later",
        "Too many requests",
        "Please wait a moment, and try again.",
    ),
    "error": (
        "503",
        "$status",
        "the service is not available at the moment, try again later",
        "One moment, please",
        "The service does not answer right now. Please try again in a few seconds.",
    ),
    "maintenance": (
        "503",
        "503",
        "the service is down for maintenance, try again later",
        "Down for maintenance",
        "We are working on the service. Please come back later.",
    ),
}
_HTML = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    ' <title>{title}</title></head><body style="font-family:sans-serif;margin:15vh auto;max-width:30em;padding:0 1em">'
    '<h1>{title}</h1> <p>{text}</p><p style="color:#666">${id}_request_id</p></body></html>'
)


class NginxNotes(Site):
    """What playbooks have noted below /etc/nginx, in the transaction that did it; nothing before the host is read."""

    also_read = ("__nginx_fleet", "__nginx_host", "__nginx_note")
    nginx_upstream_servers: Sequence[Mapping[str, Any]]
    service_name: str

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """The notes by file."""
        read = self._registered("__nginx_host") or self._registered("__nginx_note")
        found: Mapping[str, str] = read.get("texts", {})
        return found

    @cached_property
    def drained_file(self) -> str:
        return f"services/{self.service_name}/drained.json"

    @cached_property
    def maintenance_file(self) -> str:
        return f"services/{self.service_name}/maintenance.json"

    @cached_property
    def drained(self) -> dict[str, str]:
        """Servers that drain.yml took out. One that has left the inventory is forgotten: it could not be put back."""
        noted = self._noted(self.drained_file)
        known = {server.get("name") for server in self.nginx_upstream_servers} if noted else set()
        return {name: reason for name, reason in noted.items() if name in known}

    @cached_property
    def maintenance(self) -> dict[str, Any]:
        """Since when maintenance.yml has its page in the service's place, why, who gets the service all the same.

        Empty while it serves. Behind proxies the page is theirs.
        """
        return {} if self._value("__nginx_fleet")["is_behind"] else self.maintenance_noted

    @cached_property
    def maintenance_noted(self) -> dict[str, Any]:
        return self._noted(self.maintenance_file)

    def _noted(self, file: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts.get(file) or "{}")
        return found


class NginxRun(Site):
    also_read = ("__nginx_site", "__nginx_host", "__nginx_lineage", "__nginx_maintenance", "__nginx_order")
    nginx_drained: Mapping[str, str]
    nginx_error_retry_after: int
    nginx_health_path: str
    nginx_ipv6: str
    nginx_port: int
    nginx_rate_limits: Sequence[Mapping[str, Any]]
    nginx_security_headers: Mapping[str, str]
    nginx_server_names_hash_bucket_size: int
    nginx_snippets: Mapping[str, str]
    nginx_tls_http2: bool
    nginx_tls_port: int
    nginx_tls_profile: str
    nginx_upstream_keepalive: int
    nginx_upstream_servers: Sequence[Mapping[str, Any]]
    nginx_variables_hash_max_size: int
    nginx_websocket_max_connections: Any
    nginx_websocket_max_per_address: int
    nginx_worker_connections: int
    service_debian: Mapping[str, str]
    service_instances: str
    service_name: str
    service_plan: Mapping[str, Any]
    service_websocket_max_connections: int
    service_websocket_paths: Sequence[str]

    @cached_property
    def packages(self) -> list[str]:
        """Installed only once the role has seen that the ports are free: with those of the other roles where a
        playbook has had it look.
        """
        packages: list[str] = self._of("own_packages") if self._host else []
        return packages

    @cached_property
    def version(self) -> str:
        """On a bare host it is Debian's that will be installed."""
        return str(self._host.get("version") or self.service_debian["nginx"])

    @cached_property
    def knows_http3(self) -> bool:
        return tuple(int(number) for number in re.findall("[0-9]+", self.version)) >= _NEW

    @cached_property
    def http2_directive(self) -> bool:
        return self.nginx_tls_http2 and self.knows_http3

    @cached_property
    def listen_http2(self) -> str:
        return " http2" if self.nginx_tls_http2 and not self.http2_directive else ""

    @cached_property
    def listens_on_ipv6(self) -> bool:
        return self.nginx_ipv6 == "enabled" or (self.nginx_ipv6 == "auto" and self._of_host("ipv6"))

    @cached_property
    def serves_tls(self) -> bool:
        """Until the authority has issued what certbot orders, plain HTTP serves, the challenge with it."""
        if not self._of("is_to_serve_tls"):
            return False
        return not self._of("is_ordered") or self._registered("__nginx_lineage").get("present", True) or self._is_issued

    @cached_property
    def _is_issued(self) -> bool:
        order = self._registered("__nginx_order")
        said = order.get("present") or order.get("reasons")
        return bool(said) and order["certificate"] == self._of("certificate")

    @cached_property
    def redirects(self) -> bool:
        redirects: bool = self.serves_tls and self._of("is_to_redirect")
        return redirects

    @cached_property
    def serves_http3(self) -> bool:
        serves: bool = self.serves_tls and self._of("is_to_serve_http3")
        return serves

    @cached_property
    def headers(self) -> list[str]:
        """Those of every answer, of which the service's own are left out."""
        given = (name for name, value in self.nginx_security_headers.items() if value)
        return [
            *sorted(given, key=str.lower),
            "X-Request-Id",
            *(["Strict-Transport-Security"] if self.serves_tls else []),
        ]

    @cached_property
    def pages(self) -> list[dict[str, Any]]:
        """What an error's answer says, as JSON and as a page."""
        maintenance = self._value("__nginx_maintenance")
        # of a limit: until the slowest one lets the next request pass
        pause = max([1, *(limit["pause"] for limit in self._of("limits"))])
        after = {"429": pause, "error": self.nginx_error_retry_after}
        if maintenance:
            after["maintenance"] = maintenance["retry_after"]
        return [self._page(name, seconds) for name, seconds in after.items()]

    def _page(self, name: str, retry_after: int) -> dict[str, Any]:
        status, shown, words, title, text = _PAGES[name]
        html = _HTML.format(title=title, text=text, id=self._of("id"))
        page = {"name": name, "status": status, "shown": shown, "words": words, "html": html}
        return {**page, "retry_after": retry_after}

    @cached_property
    def maintenance_said(self) -> str:
        noted = self._value("__nginx_maintenance")
        if not noted:
            return ""
        reason = f", {noted['reason']}" if noted["reason"] else ""
        back = "back with workbot.stability.maintenance: -e maintenance_state=off"
        return f"The maintenance page is on here since {noted['since']}{reason}; {back}"

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """Below /etc/nginx, of the site alone."""
        id_, maintenance = self._of("id"), self._value("__nginx_maintenance")
        upgrades = {"connection": f"${id_}_connection", "upgrade": f"${id_}_upgrade"}
        websocket = [self._file("websocket.conf", "proxy", upgrades)] if self.service_websocket_paths else []
        tls = [self._file("tls.conf", "tls"), self._file("ffdhe2048.pem", "ffdhe2048")] if self.serves_tls else []
        return [
            {"path": f"conf.d/{self.service_name}.conf", "template": "site.conf.j2"},
            *(self._file(f"{name}.conf", name) for name in _SITE_FILES),
            self._file("proxy.conf", "proxy", {"connection": '""', "upgrade": '""'}),
            *websocket,
            *tls,
            *self._note("drained", self.nginx_drained),
            *self._note("maintenance", maintenance),
            *(
                self._file(f"snippet-{context}.conf", "snippet", {"context": context})
                for context in ("http", "server")
                if self.nginx_snippets.get(context)
            ),
        ]

    def _file(self, name: str, template: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
        suffix = name.rpartition(".")[2]
        made = {"path": f"{self._of('directory')}/{name}", "template": f"{template}.{suffix}.j2"}
        return {**made, "variables": variables} if variables else made

    def _note(self, name: str, noted: Mapping[str, Any]) -> list[dict[str, Any]]:
        text = f"{json.dumps(noted, indent=4, sort_keys=True)}\n"
        return [{"path": f"{self._of('directory')}/{name}.json", "content": text}] if noted else []

    @cached_property
    def shared_files(self) -> list[dict[str, Any]]:
        """Of the sites of a host. A port has a server for unknown hosts unless this site takes every name."""
        tables = {
            "variables": self.nginx_variables_hash_max_size,
            "server-names": self.nginx_server_names_hash_bucket_size,
        }
        found: list[dict[str, Any]] = [
            {"path": f"conf.d/00-{name}.conf", "template": f"{name}.conf.j2", "version": size}
            for name, size in tables.items()
            if size
        ]
        if not self._of("takes_every_name"):
            found += self._unknown(self.nginx_port, "", "")
            found += self._unknown(self.nginx_tls_port, "", " ssl") if self.serves_tls else []
        # the one server of the port that opens its sockets, one for each worker, for all sites that offer HTTP/3 there
        http3 = self._unknown(self.nginx_tls_port, "-http3", " quic reuseport") if self.serves_http3 else []
        return [*found, *http3]

    def _unknown(self, port: int, kind: str, options: str) -> Iterator[dict[str, Any]]:
        version = _UNKNOWN_TLS[self.nginx_tls_profile] if options else _UNKNOWN_PLAIN
        for address, suffix in (("", ""), ("[::]:", "-ipv6")) if self.listens_on_ipv6 else (("", ""),):
            yield {
                "path": f"conf.d/00-unknown-hosts-{port}{kind}{suffix}.conf",
                "template": "unknown-hosts.conf.j2",
                "variables": {"tls": bool(options), "listen": f"{address}{port}{options}"},
                "version": version,
            }

    @cached_property
    def restart_for(self) -> list[str]:
        """The drop-in, where Nginx had nothing to do before."""
        return [] if self._of_host("in_use") else [DROP_IN]

    @cached_property
    def certificates(self) -> list[dict[str, Any]]:
        return [self._of("served_certificate")] if self.serves_tls else []

    @cached_property
    def probes(self) -> list[dict[str, Any]]:
        """What must be so after a change: the site's own server answers, over TLS with this certificate; what the
        service behind it answered before, it still does.
        """
        plain = {"port": self.nginx_port, "host": self._of("probe_host")}
        found = {"path": "/.probe", "expect_status": [404]}
        chain = self._of("certificate")
        over_tls = {**plain, **found, "port": self.nginx_tls_port, "tls": True, "certificate_chain": chain}
        port = self.nginx_tls_port if self.redirects else self.nginx_port
        upgrade = {**plain, "port": port, "tls": self.redirects, "if_healthy": True, "websocket": True}
        return [
            {**plain, **found},
            {**plain, "path": self.nginx_health_path, "if_healthy": True},
            *([over_tls] if self.serves_tls else []),
            *({**upgrade, "path": path} for path in self.service_websocket_paths),
        ]

    @cached_property
    def websockets(self) -> int:
        """At a time; 0 for no limit."""
        room = websocket_room(self.service_plan["cores"], self.nginx_worker_connections, self.nginx_upstream_keepalive)
        return choose_websockets(self.nginx_websocket_max_connections, self._websockets_of_processes, room)

    @cached_property
    def _websockets_of_processes(self) -> int:
        """A host that is only the service's proxy can't know how many processes others choose: 0."""
        chosen = 0 if self.service_instances == "max" else int(self.service_instances)
        hosts = len(self.nginx_upstream_servers) or 1
        return (self.service_plan["instances"] or chosen) * hosts * self.service_websocket_max_connections

    @cached_property
    def limits_websockets(self) -> bool:
        limited = self.nginx_websocket_max_per_address > 0 or self.websockets > 0
        return bool(self.service_websocket_paths) and limited

    @cached_property
    def limit_zones(self) -> list[str]:
        names = [limit["name"] for limit in self.nginx_rate_limits]
        names += ["clients"] if self._of("client_requests") else []
        names += [limit["name"] for limit in self._of("bodies")]
        names += ["websocket_clients", "websockets"] if self.limits_websockets else []
        return [f"{self._of('id')}_{name}" for name in names]

    @property
    def _host(self) -> Mapping[str, Any]:
        return self._registered("__nginx_host")

    def _of_host(self, name: str) -> Any:
        if name not in self._host:
            raise UnknownError(name)
        return self._host[name]

    def _of(self, name: str) -> Any:
        site = self._value("__nginx_site")
        if name not in site:
            raise UnknownError(name)
        return site[name]
