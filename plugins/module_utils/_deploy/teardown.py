# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draining activations and taking them off the host, and putting in order what lies around the active one.

What the active link names is never stopped nor removed, whatever went wrong before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from .._host.atomic import Return, point, remove_tree
from .._host.errors import StabilityError
from .._host.units import stop_unit
from .actual import linked_name, read_active, release_names
from .context import Context
from .links import connections_of, remove_sockets
from .model import Activation, ActivationError, Places
from .plan import Decision

_POLL_SECONDS = 0.25
_CHECK_SECONDS = 1.0
# one look could fall between a proxy's connect() and the kernel's entry for it
_EMPTY_LOOKS = 2


def drain(
    count: Callable[[], int],
    limit: float,
    check: Callable[[], None] = lambda: None,
    glance: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Wait until no connection is counted any more, `limit` seconds at most.

    Either may raise to end the wait: `glance`, at each look, and `check`, once a second.
    Returns the `seconds` it took, the `connections` at first and those `left` at the limit: WebSockets, as a rule.
    """
    began = time.monotonic()
    at_first = left = count()
    empty, checked = 0, began
    while True:
        empty = 0 if left else empty + 1
        glance()
        now = time.monotonic()
        if empty >= _EMPTY_LOOKS or now - began >= limit:
            return {"seconds": round(now - began, 1), "connections": at_first, "left": left}
        if now - checked >= _CHECK_SECONDS:
            check()
            checked = now
        time.sleep(_POLL_SECONDS)
        left = count()


def drain_rest(places: Places, activation: Activation, limit: float) -> None:
    """Let one that is not active any more answer the requests that it still has, for `limit` seconds at most."""
    if connections_of(places, activation):
        drain(partial(connections_of, places, activation), limit)


def attempt(what: str, action: Callable[[], object]) -> list[str]:
    """What went wrong, as a list of at most one sentence: the next thing is to be tried all the same."""
    try:
        action()
    except (StabilityError, OSError) as error:
        return [f"{what}: {error}"]
    except Exception as error:  # a defect here must not keep the next thing from being tried either
        return [f"{what}: {type(error).__name__}: {error}"]
    return []


def require_inactive(places: Places, activation: Activation) -> None:
    """Raise ActivationError when the active link names it."""
    if read_active(places) == activation:
        raise ActivationError(f"{places.active} still names {activation.name}, so that it must go on")


def remove_activation(context: Context, activation: Activation) -> None:
    """Stop its processes for good, and remove its sockets and its directory."""
    places = context.places
    require_inactive(places, activation)
    stop_unit(places.unit(activation))
    remove_sockets(places, activation)
    remove_tree(places.of(activation))


def settle_links(context: Context, decision: Decision) -> bool:
    """The links for people and for the next run; whether they changed."""
    places = context.places
    previous = places.release(decision.previous) if decision.previous else None
    moved = point(places.previous, previous)
    return point(places.current, places.release(decision.release)) or moved


def sweep(context: Context, decision: Decision) -> None:
    """Remove what interrupted deployments left, each drained first: it may still have connections."""
    for name in decision.leftovers:
        if activation := Activation.parse(name):
            drain_rest(context.places, activation, context.desired.drain_time)
            remove_activation(context, activation)
    Return.sweep(context.places.active)


def discard_release(places: Places, release: str) -> str:
    """Remove the directory of a release that no link names; a sentence for people, "" when there was nothing to do."""
    active = read_active(places)
    named = {linked_name(places.current), linked_name(places.previous), active.release if active else ""}
    directory = places.release(release)
    if release in named or release not in release_names(places.releases):
        return ""
    left = attempt(f"Its directory, {directory}, was not removed", lambda: remove_tree(directory))
    return left[0] if left else f"Its directory, {directory}, was removed."
