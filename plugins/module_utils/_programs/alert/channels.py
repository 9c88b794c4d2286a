# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The channels of the messages, through Apprise, and the heartbeat URL. URLs are secrets: none is ever shown."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import http.client
import importlib.util
import json
import logging
import re
import signal
import smtplib
import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..._host.errors import StabilityError
from ..._net.http import HttpError, Request, RequestError, fetch
from .outbox import Message
from .urls import url_problems

_TYPES = {"critical": "failure", "warning": "warning", "info": "success"}
_STATUS = re.compile(r"error=(\d{3})\b")
_HEARTBEAT_SECONDS = 10.0
_GOOD = range(200, 300)
_SERVER_ERROR = 500
# By host, where an answer with status 200 has the code of an error, which is else 0.
_REFUSED_BY = {"oapi.dingtalk.com": "errcode", "open.feishu.cn": "code", "qyapi.weixin.qq.com": "errcode"}
_LONGEST_DELIVERY = 30.0


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
        try:
            with _Listener() as said, _listening_to_answers() as refusals, _time_limit(_LONGEST_DELIVERY):
                done = self._apprise.notify(
                    title=message.title, body=message.body, notify_type=_TYPES[message.severity], body_format="text"
                )
        except Exception as error:
            return _failed(error)
        if refusals:
            return refusals[0]
        return "" if done else said.reason


class _Listener(logging.Handler):
    """Of what Apprise says no more than the status of an answer, or why there was none: the rest may hold the URL."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.reason = "it was not delivered, and Apprise does not say why"

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        # it writes the record where it has caught the error
        error = sys.exc_info()[1]
        if found:
            self.reason = _answered(int(found[1]))
        elif error:
            self.reason = _failed(error)

    def __enter__(self) -> _Listener:
        logger = logging.getLogger("apprise")
        logger.addHandler(self)
        logger.propagate = False
        return self

    def __exit__(self, *_exception: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


@contextlib.contextmanager
def _listening_to_answers() -> Iterator[list[str]]:
    """The refusals in answers that Apprise takes for success, since their status is 200.

    Apprise passes such an answer on to nobody, and makes a session of requests for each, which alone has hooks.
    """
    found: list[str] = []
    session = sys.modules["requests"].Session  # Apprise has loaded it
    send = session.send

    def listen(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        found.extend(filter(None, [_refusal(response.url, response.content)]))
        return response

    session.send = listen
    try:
        yield found
    finally:
        session.send = send


def _refusal(url: str, body: bytes) -> str:
    field = _REFUSED_BY.get(urlsplit(url).hostname or "")
    try:
        code = json.loads(body)[field] if field else 0
    except (ValueError, KeyError, TypeError):
        return ""
    return f"refused: {field} {code}" if code and isinstance(code, int) else ""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Not every plugin of Apprise has one, and one channel must not hold up the others."""

    def end(_number: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _answered(status: int) -> str:
    """Why an answer with that HTTP status means that the message was not taken."""
    if status in _GOOD:
        return "refused, for a reason in the answer"
    known = http.client.responses.get(status, "")
    return f"{'server error' if status >= _SERVER_ERROR else 'refused'}: {status} {known}".rstrip()


def _failed(error: BaseException) -> str:
    """What an exception out of Apprise comes from; of its own text nothing, which may quote the URL."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    meanings = (_meaning(one) for one in reversed(chain))
    return next(filter(None, meanings), f"it was not delivered: {type(error).__name__}")


def _meaning(error: BaseException) -> str:
    """Empty where it has none."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"refused: SMTP status {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "refused: a recipient of the mail"
    if isinstance(error, TimeoutError):
        return "no answer: connection timed out"
    if isinstance(error, ssl.SSLError):
        return f"no answer: TLS failed, {(error.reason or 'without a reason').replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.strerror:
        return f"no answer: {error.strerror.lower()}"
    return ""


def channels(urls: Sequence[str]) -> list[AppriseChannel]:
    return [AppriseChannel(url, number) for number, url in enumerate(urls, 1)]


def identity(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def label(url: str, number: int) -> str:
    kind = re.match(r"([a-z0-9]{1,20})://", url)
    return f"{kind[1] if kind else 'URL'} ({number})"


def check(urls: Sequence[str]) -> bool:
    """Whether there is an Apprise to ask. Raises StabilityError where it would not take one of the URLs."""
    asked = importlib.util.find_spec("apprise") is not None
    found = dict(url_problems(urls))
    for place, url in enumerate(urls):
        if asked and place not in found:
            try:
                _open(url)
            except StabilityError as error:
                found[place] = str(error)
    if found:
        raise StabilityError("; ".join(f"{label(urls[place], place + 1)}: {found[place]}" for place in sorted(found)))
    return asked


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
        raise StabilityError(f"Apprise {apprise.__version__} of this host {_refusal_of(url, opened)}")
    return opened


def _refusal_of(url: str, opened: Any) -> str:
    """Return why Apprise does not take a URL, as far as its list of kinds tells."""
    kind = url.partition(":")[0]
    if kind in ("http", "https"):
        return f"knows no such address; a webhook is json{kind[4:]}://HOST/PATH"
    services = opened.details()["schemas"]
    kinds = {name for one in services for name in (*(one["protocols"] or ()), *(one["secure_protocols"] or ()))}
    if kind in kinds:
        return f"finds a part of a {kind}:// URL missing or wrong"
    near = difflib.get_close_matches(kind, kinds, 1)
    return f"knows no {kind}://" + (f"; did you mean {near[0]}://?" if near else "")


def beat(url: str) -> str:
    """Request the heartbeat URL; returns why it failed, empty when it did not."""
    try:
        answer = fetch(Request(url, timeout=_HEARTBEAT_SECONDS, headers={"User-Agent": "workbot.stability"}))
    except (HttpError, RequestError):
        return "no answer"
    return "" if answer.status in _GOOD else _answered(answer.status)
