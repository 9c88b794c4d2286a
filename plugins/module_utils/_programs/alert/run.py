# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of alerting: take in the events, make messages, deliver what is due.

Messages are on disk before an event is deleted, and what was delivered is on disk before the next is sent: a run that
is killed loses nothing, and repeats no more than the one message that it was delivering.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..._host.console import complain
from ..._host.errors import StabilityError
from ..._host.lock import lock
from . import inbox
from .alertmanager import ask, changes
from .channels import AppriseChannel, beat, channels
from .config import Config, Secrets, clock, read_copied_status, read_unit
from .heartbeat import MONITORING, WATCHDOG, Clock, Sight, heartbeat_events, missed_events, observe
from .outbox import delivered, due, failed, know_channels, put
from .problems import Event, Ledger, notify
from .store import State, Store
from .texts import Writer

# The unit may take longer: a run ends by itself, between two messages.
_LONGEST_RUN = 100.0
# On the monitor's host a round each 15 s, of which the timer does the first of each minute.
_ROUND = 15.0
_MONITORED = 45.0
_TICK = 0.5
# The timer comes each minute; runs between, which the events start, are no reason for another request.
_SHORTEST_BEAT = 45.0
# A watchdog that nobody listened to has left its last thousand events: the first run reports no history. What is
# still open, the status shows.
_OLDEST_AT_FIRST = 600.0


def send(config: Config, secrets: Secrets) -> int:
    """Returns the exit status: 0 also where a channel fails, which is retried. Raises StabilityError and OSError.

    On the monitor's host a run has several rounds, since to start a run costs more than all of them.
    """
    end = time.monotonic() + (_MONITORED if config.monitor else 0.0)
    path = config.runtime_directory / "lock"
    with lock(path, StabilityError(f"another run is at work: it holds {path}")):
        store = Store([config.state_directory, config.runtime_directory])
        store.clean()
        state = store.load()
        ways = channels(secrets.urls)
        while True:
            # who sends a test message waits for the run's end
            last = time.monotonic() >= end or bool(inbox.waiting(config.inbox))
            fresh = _take_in(config, ways, state, store)
            if secrets.heartbeat_url and fresh:
                _beat(secrets.heartbeat_url, state, clock())
            deliver(state, store, ways, time.time)
            store.save(state)
            # deliveries take their time as well, and systemd ends what takes too much
            if last or time.monotonic() >= end:
                return 0
            _rest(config.inbox)


def _rest(directory: Path) -> None:
    """Until the next round, or until something comes."""
    end = time.monotonic() + _ROUND
    while time.monotonic() < end and not inbox.waiting(directory):
        time.sleep(_TICK)


def _take_in(config: Config, ways: Sequence[AppriseChannel], state: State, store: Store) -> bool:
    """Events and silence become messages, on disk; returns whether the watchdog, or Prometheus, shows signs of life."""
    _begin(state, config.monitor.url if config.monitor else "")
    alerts = ask(config.monitor, config.service, time.time()) if config.monitor else None
    now = clock()
    know_channels(state.outbox, [channel.name for channel in ways])
    names = inbox.waiting(config.inbox)
    mtime_ns, status = (alerts.sign_ns, {}) if alerts else read_copied_status(config)
    state.sight, fresh = observe(state.sight, mtime_ns, now, config.heartbeat_timeout)
    writer = Writer(config.service, config.host, config.language, of_fleet=alerts is not None)

    def announce(events: Sequence[Event]) -> None:
        notices = notify(state.ledger, events, now.wall, config.repeat_interval_minutes * 60, config.actions)
        put(state.outbox, notices, now.wall, config.messages_per_hour, writer)

    seen = set(state.seen)
    events = inbox.read(config.inbox, [name for name in names if name not in seen], now.wall)
    if alerts:
        events = [event for event in events if event.kind == "test"]
    announce(events if state.ran else [event for event in events if now.wall - event.time < _OLDEST_AT_FIRST])
    codes, why = (MONITORING, alerts.reason) if alerts else (WATCHDOG, "")
    announce(
        heartbeat_events(state.ledger, fresh, read_unit(config), state.sight.mtime_ns, now.wall, codes=codes, why=why)
    )
    if alerts:
        announce(changes(state.ledger, alerts, fresh and mtime_ns > 0, now.wall))
    elif fresh and status:
        announce(missed_events(state.ledger, status, now.wall))
    state.seen, state.ran = names, now.wall
    store.save(state)
    inbox.remove(config.inbox, names)
    return fresh and mtime_ns > 0


def _begin(state: State, source: str) -> None:
    """What is open by another source is not over because this one lacks it. What waits to be sent still does."""
    if state.source != source:
        state.ledger, state.sight, state.ran, state.source = Ledger(), Sight(), 0.0, source


def deliver(state: State, store: Store, ways: Sequence[AppriseChannel], now: Callable[[], float]) -> None:
    """Each channel gets what waits for it, in order, until one message fails or there is no time left."""
    end = time.monotonic() + _LONGEST_RUN
    for channel in ways:
        while time.monotonic() < end and (message := due(state.outbox, channel.name, now())):
            error = channel.send(message)
            if error:
                failed(state.outbox, channel.name, now(), error)
            else:
                delivered(state.outbox, channel.name, message, now())
            store.save(state)


def _beat(url: str, state: State, now: Clock) -> None:
    if 0 <= now.boot - state.pinged < _SHORTEST_BEAT:
        return
    state.pinged = now.boot
    error = beat(url)
    if error:
        complain(f"the heartbeat URL: {error}")
