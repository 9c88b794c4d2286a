# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages on their way: a limit for each hour, what waits for which channel, when it is tried again. Pure.

A message waits for each channel of its own: one that fails neither repeats nor holds up the others. Each channel gets
its messages in their order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .problems import Notice
from .texts import Writer

_HOUR = 3600.0
# Seconds until a channel that failed is tried again: doubled each time, up to the longest.
FIRST_RETRY = 30.0
LONGEST_RETRY = 300.0
# What nobody could be sent for so long is dropped, oldest first.
MOST_WAITING = 500
_MOST_HELD = 50


@dataclasses.dataclass
class Message:
    time: float
    severity: str
    title: str
    body: str
    waiting: list[str]
    """Channels that have not got it yet."""


@dataclasses.dataclass
class Channel:
    tries: int = 0
    """Failed ones in a row."""
    next: float = 0.0
    error: str = ""
    delivered: float = 0.0


@dataclasses.dataclass
class Outbox:
    messages: list[Message] = dataclasses.field(default_factory=list)
    channels: dict[str, Channel] = dataclasses.field(default_factory=dict)
    counted: list[float] = dataclasses.field(default_factory=list)
    """Times of the messages of the last hour."""
    held: list[str] = dataclasses.field(default_factory=list)
    """Titles of what was beyond the limit; reported in one message as soon as there is room for one."""
    held_count: int = 0
    dropped: int = 0


def know_channels(outbox: Outbox, names: Iterable[str]) -> None:
    """From here on these are the channels; nothing waits for one that is gone."""
    wanted = list(names)
    outbox.channels = {name: outbox.channels.get(name, Channel()) for name in wanted}
    for message in outbox.messages:
        message.waiting = [name for name in message.waiting if name in outbox.channels]
    outbox.messages = [message for message in outbox.messages if message.waiting]


def put(outbox: Outbox, notices: Iterable[Notice], now: float, per_hour: int, writer: Writer) -> None:
    """Make messages of the notices. A quarter of the hour's limit is left for what is urgent.

    What is beyond the limit is held, and with it what comes later, until there is room for one message of it all.
    """
    outbox.counted = [time for time in outbox.counted if now - _HOUR < time <= now]
    usual = per_hour - per_hour // 4
    if outbox.held and len(outbox.counted) < usual:
        text = writer.sum_up(outbox.held_count, outbox.held)
        outbox.held, outbox.held_count = [], 0
        _add(outbox, Message(now, "warning", text.title, text.body, list(outbox.channels)))
        outbox.counted.append(now)
    for notice in notices:
        text = writer.write(notice)
        if notice.kind == "test":
            _retry_all(outbox)
        elif len(outbox.counted) >= (per_hour if notice.urgent else usual) or (outbox.held and not notice.urgent):
            outbox.held_count += 1
            outbox.held = [*outbox.held, text.title][-_MOST_HELD:]
            continue
        else:
            outbox.counted.append(now)
        reached = notice.kind != "test" and len(outbox.counted) == usual
        body = f"{text.body}\n{writer.limit_reached()}" if reached else text.body
        _add(outbox, Message(notice.time, notice.severity, text.title, body, list(outbox.channels)))


def _add(outbox: Outbox, message: Message) -> None:
    if message.waiting:
        outbox.messages.append(message)
    surplus = max(0, len(outbox.messages) - MOST_WAITING)
    outbox.dropped += surplus
    del outbox.messages[:surplus]


def _retry_all(outbox: Outbox) -> None:
    """Who sends a test message has just repaired something."""
    for channel in outbox.channels.values():
        channel.next = 0.0


def due(outbox: Outbox, name: str, now: float) -> Message | None:
    """The next message for a channel; None when there is none, or the channel is not to be tried yet."""
    channel = outbox.channels[name]
    # a time far ahead is of a clock that was set back
    if now < channel.next <= now + LONGEST_RETRY:
        return None
    return next((message for message in outbox.messages if name in message.waiting), None)


def delivered(outbox: Outbox, name: str, message: Message, now: float) -> None:
    message.waiting.remove(name)
    if not message.waiting:
        outbox.messages.remove(message)
    outbox.channels[name] = Channel(delivered=now)


def failed(outbox: Outbox, name: str, now: float, error: str) -> None:
    channel = outbox.channels[name]
    channel.tries += 1
    channel.next = now + min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(channel.tries - 1, 10))
    channel.error = error
