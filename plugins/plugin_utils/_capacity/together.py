# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of one machine that are planned in one run: none of them sees on the machine what the others will take."""

from __future__ import annotations

import typing as t

from .claims import Claim, claims_of, shown
from .desired import OTHER_CONNECTIONS, SUPERUSER_CONNECTIONS

Variables = t.Mapping[str, t.Any]


def planned_together(hostvars: t.Mapping[str, Variables], hosts: t.Sequence[str], registered: str) -> list[str]:
    """Return what the services of one machine, each a host of its own here, can't have together.

    ``registered`` is the variable with the result that has a host's plan. A copied machine has another host name.
    """
    machines: dict[tuple[str, str], dict[str, str]] = {}
    for host in hosts:
        plan, facts = (hostvars[host].get(registered) or {}).get("plan"), hostvars[host].get("ansible_facts") or {}
        if plan and plan["claim"]["service"] and facts.get("machine_id"):
            services = machines.setdefault((facts["machine_id"], facts.get("nodename", "")), {})
            services.setdefault(str(plan["claim"]["service"]), host)
    several = [services.values() for services in machines.values() if len(services) > 1]
    return [problem for names in several for problem in _problems({name: hostvars[name] for name in names}, registered)]


def _problems(hosts: t.Mapping[str, Variables], registered: str) -> t.Iterator[str]:
    places: dict[str, list[str]] = {}
    for host, variables in hosts.items():
        for place in variables[registered].get("serves", ()):
            places.setdefault(place, []).append(host)
    for place, same in places.items():
        if len(same) > 1:
            yield f"{', '.join(same)} are one machine, and each is to serve {place}. Set nginx_server_names of each."
    yield from _shortages(hosts, registered)


def _shortages(hosts: t.Mapping[str, Variables], registered: str) -> t.Iterator[str]:
    plans = [variables[registered]["plan"] for variables in hosts.values()]
    claims = {plan["claim"]["service"]: Claim(**plan["claim"]) for plan in plans}
    first = min(hosts)
    facts = hosts[first]["ansible_facts"]
    for claim in claims_of(facts.get("ansible_local") or {}, ""):
        claims.setdefault(claim.service, claim)
    advice = f"or let one after the other take what is left (--limit {first} to begin with)"
    memory = {claim.service: claim.memory_mb for claim in claims.values()}
    memory["PostgreSQL"] = max(claim.database_memory_mb for claim in claims.values())
    system = plans[0]["system_memory_mb"]
    free = plans[0]["memory_mb"] - system
    if sum(memory.values()) > free:
        yield (
            f"{', '.join(hosts)} are one machine, with too little memory for what they plan together:"
            f" {shown(memory, 'M')} = {sum(memory.values())}M, of {free}M ({plans[0]['memory_mb']} - {system} system)."
            f" Set service_memory_restart_limit or service_instances of them, {advice}."
        )
    connections = {claim.service: claim.connections for claim in claims.values()}
    most = max(plan["max_connections"] for plan in plans)
    left = most - SUPERUSER_CONNECTIONS - OTHER_CONNECTIONS
    if sum(connections.values()) > left:
        yield (
            f"{', '.join(hosts)} are one machine, whose PostgreSQL has too few connections for what they plan together:"
            f" {shown(connections)} = {sum(connections.values())}, of {left} (max_connections {most}"
            f" - {SUPERUSER_CONNECTIONS} superuser - {OTHER_CONNECTIONS} other). Set service_pool_max of them,"
            f" service_database_max_connections, {advice}."
        )
