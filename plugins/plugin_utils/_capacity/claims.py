# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services of this collection have planned of a host: each leaves a record there, a local fact for Ansible."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import asdict, dataclass

from ...module_utils._host.errors import StabilityError
from ...module_utils._service.footprint import mark_of


@dataclass(frozen=True)
class Claim:
    """What one service has planned of a host. The server that the others' databases are in is the same one."""

    service: str
    memory_mb: int
    database_memory_mb: int = 0
    connections: int = 0

    def as_dict(self) -> dict[str, t.Any]:
        """Return the record's values, sizes in MB."""
        return asdict(self)


def claims_of(local_facts: t.Mapping[str, t.Any], own: str) -> tuple[Claim, ...]:
    """Return the others' records among a host's local facts; raise StabilityError for one that was damaged.

    Facts that do not say whose they are, as the records do, are foreign.
    """
    claims = [_claim(record) for record in _records(local_facts) if record["service"] != own]
    return tuple(sorted(claims, key=lambda claim: claim.service))


def connections_before(local_facts: t.Mapping[str, t.Any], own: str) -> int:
    """Return the connections of the service's own record; 0 where it has none, or one that was damaged."""
    records = [record for record in _records(local_facts) if record["service"] == own]
    with contextlib.suppress(StabilityError):
        return max((_claim(record).connections for record in records), default=0)
    return 0


def _records(local_facts: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    records = [fact for fact in local_facts.values() if isinstance(fact, dict) and "about" in fact]
    return [record for record in records if record["about"] == mark_of(str(record.get("service")))]


def _claim(record: t.Mapping[str, t.Any]) -> Claim:
    name = str(record["service"])
    try:
        numbers = {size: int(record[size]) for size in ("memory_mb", "database_memory_mb", "connections")}
    except (KeyError, TypeError, ValueError) as error:
        raise StabilityError(
            f"/etc/ansible/facts.d/{name}-plan.fact is no record of what {name} has planned of the host"
            f" ({type(error).__name__}: {error}). Run site.yml for {name}, or remove the file if the service is gone"
        ) from error
    return Claim(name, **numbers)


def shown(parts: t.Mapping[str, int], unit: str = "") -> str:
    """Return what each has, without those that have nothing."""
    return ", ".join(f"{name} {value}{unit}" for name, value in parts.items() if value)
