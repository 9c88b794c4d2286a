# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment over many hosts, seen from the controller: who takes part, in which order, and where the fleet stands.

Nothing here reaches a host: it judges what module deploy_lease has read there.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._host.errors import StabilityError
from .._hosts import UNREACHABLE, failure_of

_BATCH = re.compile(r"[1-9][0-9]*|(100|[1-9][0-9]?)%")


@dataclass(frozen=True)
class HostState:
    """What a host said. Release ids are "" where there is none."""

    name: str
    active: str = ""
    previous: str = ""
    releases: tuple[str, ...] = ()
    problem: str = ""
    """Why it can't take part; "" when it can."""
    unreachable: bool = False


def state_of(name: str, registered: Mapping[str, Any] | None) -> HostState:
    """From what deploy_lease has registered for a host; None where it did not run."""
    if registered is None:
        return HostState(name, problem="it was not asked")
    if failure := failure_of(registered, "active"):
        state, said = failure
        return HostState(name, problem=said or "it gave no reason", unreachable=state == UNREACHABLE)
    return HostState(name, registered["active"], registered["previous"], tuple(registered["releases"]))


def batches(serial: Any, first_alone: bool = False) -> list[str]:
    """Ansible's `serial`, from `deploy_serial`. Raises StabilityError where that is none."""
    asked = [
        str(one).strip()
        for one in (serial if isinstance(serial, Sequence) and not isinstance(serial, str) else [serial])
    ]
    if not asked or not all(_BATCH.fullmatch(one) for one in asked):
        raise StabilityError(
            f"Nothing was changed. deploy_serial = {serial}: expected a number of hosts, 1 or more, a percentage"
            " such as 25%, or a list of them"
        )
    return ["1", *asked] if first_alone and asked[0] != "1" else asked


def participants(hosts: Sequence[HostState], unreachable: str) -> list[HostState]:
    """The hosts that take part. Raises StabilityError when one can't, but for those that may be left out."""
    wrong = [host for host in hosts if host.problem and not (host.unreachable and unreachable == "skip")]
    if wrong:
        lines = [f"  {host.name}: {host.problem}" for host in wrong]
        advice = _unreachable_advice([host.name for host in wrong if host.unreachable])
        raise StabilityError("\n".join(["Nothing was changed. These hosts can't take part:", *lines, *advice]))
    found = [host for host in hosts if not host.problem]
    if not found:
        raise StabilityError("Nothing was changed: no host can be reached.")
    return found


def is_mixed(hosts: Sequence[HostState]) -> bool:
    """Whether they run different releases: that of the first may be a canary whose watch never came to its end."""
    return len({host.active for host in hosts}) > 1


def lost_hosts(earlier: Iterable[HostState], there: Container[str]) -> list[str]:
    """Which hosts have begun their turn and can't be reached since. `there` has the names of those that can."""
    return [host.name for host in earlier if not host.problem and host.name not in there]


def require_turn(host: HostState, may_be_left_out: bool, lost: Sequence[str]) -> None:
    """Raise StabilityError when the host's turn must not begin."""
    if lost:
        raise StabilityError(
            f"{host.name} keeps what it has: the connection to {', '.join(lost)} was lost in its turn."
        )
    if host.problem and not (host.unreachable and may_be_left_out):
        raise StabilityError(f"{host.name} can't take its turn: {host.problem}")


def rollback_target(hosts: Sequence[HostState], asked: str) -> str:
    """The release that every host goes back to. Raises StabilityError where a host lacks it, or it is not clear.

    Without a name it is the one that has been replaced on each host that does not run it: a rollback after a deployment
    that stopped halfway changes those hosts alone that have the new release.
    """
    if asked:
        lacking = [host for host in hosts if asked not in host.releases]
        if lacking:
            lines = [f"  {host.name} has {', '.join(host.releases) or 'none'}" for host in lacking]
            raise StabilityError("\n".join([f"Nothing was changed: release {asked} is not on every host.", *lines]))
        return asked
    if not any(host.previous for host in hosts):
        raise StabilityError("Nothing was changed: there is no previous release: nothing else was active before.")
    known = {release for host in hosts for release in (host.active, host.previous) if release}
    targets = [release for release in sorted(known) if _is_back(release, hosts)]
    if len(targets) != 1:
        lines = [f"  {host.name} runs {host.active or 'none'}, before it {host.previous or 'none'}" for host in hosts]
        advice = "Name the one to go back to: -e rollback_release=<id>"
        raise StabilityError("\n".join(["Nothing was changed: it is not clear what to go back to.", *lines, advice]))
    return targets[0]


def _is_back(release: str, hosts: Sequence[HostState]) -> bool:
    """Whether the release is active or was replaced last on every host, and not active on all."""
    active = [host for host in hosts if host.active == release]
    others = [host for host in hosts if host.active != release]
    return bool(others) and len(active) < len(hosts) and all(host.previous == release for host in others)


def standing(stopped: str, before: Sequence[HostState], after: Sequence[HostState], inventory: Sequence[str]) -> str:
    """Where the fleet stands once a run has stopped, and the ways on and back."""
    was = {host.name: host.active for host in before if not host.problem}
    changed = [host for host in after if not host.problem and host.active != was.get(host.name, host.active)]
    lines = [f"Stopped at {stopped}. What serves now:"]
    for release in sorted({host.active for host in after if not host.problem}):
        for new in (True, False):
            names = [
                host.name for host in after if not host.problem and host.active == release and (host in changed) is new
            ]
            if names:
                lines.append(f"  {'new' if new else 'as before'}: release {release or 'none'} on {', '.join(names)}")
    lines += [f"  not known: {host.name}: {host.problem}" for host in after if host.problem]
    lines.append("To go on, once the cause is repaired: the same command again.")
    back = {was[host.name] for host in changed if was.get(host.name)}
    if len(back) == 1:
        sources = " ".join(f"-i {source}" for source in inventory)
        lines.append(
            f"To go back: ansible-playbook {sources} workbot.stability.rollback -e rollback_release={back.pop()}"
        )
    return "\n".join(lines)


def left_out(hosts: Iterable[HostState]) -> str:
    """What to say at the end about the hosts that were left out; "" when none was."""
    lines = [f"  {host.name}: {host.problem}" for host in hosts if host.problem]
    if not lines:
        return ""
    return "\n".join(["Left out, because they can't be reached (the next run brings them up to date):", *lines])


def _unreachable_advice(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    pattern = ":".join(["app", *(f"!{name}" for name in names)])
    ways = (
        f"What can't be reached may be brought back, taken out of this run with --limit '{pattern}', or skipped with -e"
        " deploy_unreachable=skip"
    )
    return [ways]
