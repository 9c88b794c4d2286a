# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a fleet by what they do, and the addresses at which they reach each other."""

from __future__ import annotations

import ipaddress
import re
import typing as t

GROUPS = ("app", "proxy", "database", "monitor", "backup")
HTTP_PORT = 80
# A host that is gone is left out after a few failures, not after one: a single answer that took too long says little.
MAX_FAILS = 3
# As in role service: this host's own server is used.
_LOOPBACK = "127.0.0.1"
_LOCAL_SERVER = re.compile(r"(127[.]0[.]0[.]1|::1|localhost)$|/")

Fleet = dict[str, dict[str, str]]
Variables = t.Mapping[str, t.Any]
Groups = t.Mapping[str, t.Sequence[str]]


def address_of(name: str, variables: t.Mapping[str, t.Any]) -> str:
    """Return where the other hosts reach this one: what its variables say, else its name."""
    return str(variables.get("service_address") or variables.get("ansible_host") or name)


def fleet_of(hostvars: t.Mapping[str, t.Mapping[str, t.Any]], groups: t.Mapping[str, t.Sequence[str]]) -> Fleet:
    """Return each group's hosts with their addresses. A group that the inventory does not have is empty.

    Read from the inventory, not from the play: with --limit and serial the fleet is the same.
    """
    return {group: {name: address_of(name, hostvars[name]) for name in groups.get(group, ())} for group in GROUPS}


def has_server(variables: Variables, groups: Groups, name: str) -> bool:
    """Whether the roles run a PostgreSQL server on the host, as `service_database_is_local` says there."""
    servers = groups.get("database", ())
    if (
        name not in [*groups.get("app", ()), *servers]
        or variables.get("service_supervisor", "collection") != "collection"
    ):
        return False
    host = str(variables.get("service_database_host") or ("" if servers and name not in servers else _LOOPBACK))
    return is_true(variables.get("service_database_enabled", bool(servers))) and bool(_LOCAL_SERVER.match(host))


def is_true(value: object) -> bool:
    """Of a variable as an inventory may have it."""
    return str(value).lower() in ("true", "yes", "on", "1")


def upstream_servers(
    hosts: t.Mapping[str, str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]
) -> list[dict[str, t.Any]]:
    """Return the servers of a proxy: each of these hosts' own Nginx, at the port that its variables say."""
    return [
        {
            "name": name,
            "host": address,
            "port": int(hostvars[name].get("nginx_port") or HTTP_PORT),
            "max_fails": MAX_FAILS,
        }
        for name, address in hosts.items()
    ]


def fleet_problems(fleet: Fleet, host: str) -> list[tuple[str, str]]:
    """Return what is wrong with the inventory's groups, each with its place, as this host sees it.

    Where no host serves or watches another one, or has its backups, they need not reach each other.
    """
    problems = []
    servers = fleet["database"]
    if len(servers) > 1 and servers.keys() != fleet["app"].keys():
        problems.append(("groups.database", f"has {', '.join(servers)}; the app hosts share one: leave one in it"))
    for group, does in (("monitor", "watches all"), ("backup", "has all backups")):
        if len(fleet[group]) > 1:
            problems.append((f"groups.{group}", f"has {', '.join(fleet[group])}; one host {does}: leave one in it"))
    if served := [name for name in fleet["backup"] if name in (servers or fleet["app"])]:
        problems.append(
            (
                "groups.backup",
                f"has {', '.join(served)}, and would keep the backups of its own server: use another host",
            )
        )
    apart = {name for group in GROUPS for name in fleet[group]} - set(fleet["app"])
    if not apart and not (fleet["monitor"] and len(fleet["app"]) > 1):
        return problems
    if not fleet["app"]:
        problems.append(("groups.app", f"has no host, but {', '.join(sorted(apart))} serve app hosts; add one to it"))
    return [*problems, *_address_problems(fleet, host)]


def _address_problems(fleet: Fleet, host: str) -> t.Iterator[tuple[str, str]]:
    addresses = {name: address for group in GROUPS for name, address in fleet[group].items()}
    own = addresses.get(host)
    if own is None:
        return
    if _is_loopback(own):
        yield "service_address", f"is {own}, where the other hosts reach themselves; set it to an address of this host"
    if same := [name for name, address in addresses.items() if address == own and name != host]:
        yield "service_address", f"is {own}, and so is that of {', '.join(same)}; each host has its own"
    if host in fleet["proxy"] and not is_ip(own):
        yield "service_address", f"is {own}; a proxy's must be an IP address, by which the app hosts know it"


def is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    return address == "localhost" or (is_ip(address) and ipaddress.ip_address(address).is_loopback)
