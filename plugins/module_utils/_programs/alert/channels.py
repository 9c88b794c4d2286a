# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The channels of the messages, through Apprise, and the heartbeat URL. URLs are secrets: none is ever shown."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from typing import Any

from ..._host.errors import StabilityError
from ..._net.http import HttpError, Request, RequestError, fetch
from .outbox import Message

_TYPES = {"critical": "failure", "warning": "warning", "info": "success"}
_STATUS = re.compile(r"error=(\d{3})\b")
_HEARTBEAT_SECONDS = 10.0
_GOOD = range(200, 300)


class AppriseChannel:
    """One URL. `label` is what people may see: the kind and its place in the list."""

    def __init__(self, url: str, number: int) -> None:
        self.name = identity(url)
        """Identifies it, between runs too."""
        self.label = label(url, number)
        self._url = url
        self._apprise: Any = None

    def send(self, message: Message) -> str:
        """Deliver the message; returns why it was not, empty when it was."""
        try:
            if self._apprise is None:
                self._apprise = _open(self._url)
        except StabilityError as error:
            return str(error)
        with _Listener() as said:
            try:
                done = self._apprise.notify(
                    title=message.title, body=message.body, notify_type=_TYPES[message.severity], body_format="text"
                )
            except Exception as error:
                return type(error).__name__
        return "" if done else said.reason


class _Listener(logging.Handler):
    """Of what Apprise says no more than the HTTP status: the rest may hold parts of the URL."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = "no answer, or a refusal"

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found:
            self.reason = f"HTTP status {found[1]}"

    def __enter__(self) -> _Listener:
        logger = logging.getLogger("apprise")
        logger.addHandler(self)
        logger.propagate = False
        return self

    def __exit__(self, *_exception: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


def channels(urls: Sequence[str]) -> list[AppriseChannel]:
    return [AppriseChannel(url, number) for number, url in enumerate(urls, 1)]


def identity(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def label(url: str, number: int) -> str:
    kind = re.match(r"([a-z0-9]{1,20})://", url)
    return f"{kind[1] if kind else 'URL'} ({number})"


def check(urls: Sequence[str]) -> None:
    """Raises StabilityError where Apprise would not take one of the URLs."""
    wrong = []
    for number, url in enumerate(urls, 1):
        try:
            _open(url)
        except StabilityError as error:
            wrong.append(f"{label(url, number)}: {error}")
    if len({identity(url) for url in urls}) < len(urls):
        wrong.append("a URL is there twice: each message would come twice")
    if wrong:
        raise StabilityError("; ".join(wrong))


def _open(url: str) -> Any:
    """Apprise with this URL. It takes half a second to import, so only where something is sent."""
    try:
        import apprise  # noqa: PLC0415
    except ImportError as error:
        raise StabilityError("Debian's package apprise is not installed") from error
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    opened = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, app_id="workbot.stability"))
    try:
        known = opened.add(url)
    except Exception:
        # as of a "[" in a password; the text of the error may quote the URL
        message = "Apprise can't take such a URL apart: percent-encode the special characters in it"
        raise StabilityError(message) from None
    if not known:
        raise StabilityError(
            f"Apprise {apprise.__version__} of this host does not know such a URL, or a part of it is missing"
        )
    return opened


def beat(url: str) -> str:
    """Request the heartbeat URL; returns why it failed, empty when it did not."""
    try:
        answer = fetch(Request(url, timeout=_HEARTBEAT_SECONDS, headers={"User-Agent": "workbot.stability"}))
    except (HttpError, RequestError):
        return "no answer"
    return "" if answer.status in _GOOD else f"HTTP status {answer.status}"
