# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a message that was not delivered, by the log and the exceptions of Apprise's own libraries."""

from __future__ import annotations

import errno
import io
import json
import logging
import smtplib
import socket
import ssl
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert import channels
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.channels import AppriseChannel
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.cli import main
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.outbox import Message

SECRET = "hunter2hunter2"
Notify = Callable[[], bool]


class Session:
    """As that of requests."""

    def send(self, url: str, content: bytes) -> SimpleNamespace:
        return SimpleNamespace(url=url, content=content)


def outcome(monkeypatch: pytest.MonkeyPatch, notify: Notify) -> str:
    """Of one message through an Apprise that does this."""

    class Apprise:
        def __init__(self, **_options: object) -> None: ...

        def add(self, _url: str) -> bool:
            return True

        def notify(self, **_message: object) -> bool:
            return notify()

    module = SimpleNamespace(Apprise=Apprise, AppriseAsset=dict, __version__="1.9.3")
    monkeypatch.setitem(sys.modules, "apprise", module)
    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(Session=Session))
    return AppriseChannel(f"json://{SECRET}@h/", 1).send(Message(1.0, "info", "title", "body", []))


def logging_notify(status: int) -> Notify:
    """As its plugins write the status of an answer."""

    def notify() -> bool:
        logging.getLogger("apprise").warning("Failed to send JSON POST notification to %s: error=%s.", SECRET, status)
        return False

    return notify


def request(error: Exception) -> None:
    raise OSError(f"Max retries exceeded with url: /{SECRET}") from error


def failing_notify(error: Exception, raised: bool = False) -> Notify:
    """As its plugins log an error of requests, which wraps one of the network; `raised`: none of them caught it."""

    def notify() -> bool:
        try:
            request(error)
        except OSError:
            logging.getLogger("apprise").warning("A Connection error occurred sending JSON notification to %s.", SECRET)
            if raised:
                raise
        return False

    return notify


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "refused: 403 Forbidden"),
        (404, "refused: 404 Not Found"),
        (429, "refused: 429 Too Many Requests"),
        (500, "server error: 500 Internal Server Error"),
        (599, "server error: 599"),
        (200, "refused, for a reason in the answer"),
    ],
)
def test_an_answer_that_refuses_the_message_is_told_by_its_status(
    monkeypatch: pytest.MonkeyPatch, status: int, said: str
) -> None:
    assert outcome(monkeypatch, logging_notify(status)) == said


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError("timed out"), "no answer: connection timed out"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "no answer: connection refused"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no answer: network is unreachable"),
        (socket.gaierror(-2, "Name or service not known"), "no answer: name or service not known"),
        (smtplib.SMTPAuthenticationError(535, SECRET.encode()), "refused: SMTP status 535"),
        (smtplib.SMTPRecipientsRefused({SECRET: (550, b"no")}), "refused: a recipient of the mail"),
        (ValueError(SECRET), "it was not delivered: OSError"),
    ],
)
def test_why_there_was_no_answer_is_told_without_the_url(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str, raised: bool
) -> None:
    assert outcome(monkeypatch, failing_notify(error, raised)) == said


def test_a_certificate_that_is_not_accepted_is_told_without_the_host_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ssl.SSLCertVerificationError(1, f"[SSL: CERTIFICATE_VERIFY_FAILED] not valid for {SECRET!r}.")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    assert outcome(monkeypatch, failing_notify(error)) == "no answer: TLS failed, certificate verify failed"


def test_where_nothing_is_known_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(monkeypatch, lambda: False) == "it was not delivered, and Apprise does not say why"
    assert outcome(monkeypatch, lambda: True) == ""


@pytest.mark.parametrize(
    ("host", "body", "said"),
    [
        ("oapi.dingtalk.com", {"errcode": 310000, "errmsg": SECRET}, "refused: errcode 310000"),
        ("qyapi.weixin.qq.com", {"errcode": 93000}, "refused: errcode 93000"),
        ("open.feishu.cn", {"code": 19024, "msg": "Key Words Not Found"}, "refused: code 19024"),
        ("oapi.dingtalk.com", {"errcode": 0, "errmsg": "ok"}, ""),
        ("open.feishu.cn", {"StatusCode": 0}, ""),
        ("open.feishu.cn", {"code": SECRET}, ""),
        ("open.feishu.cn", [1], ""),
        # with others a code may mean success
        ("h.example", {"code": 200}, ""),
    ],
)
def test_a_refusal_with_status_200_is_told(monkeypatch: pytest.MonkeyPatch, host: str, body: object, said: str) -> None:
    def notify() -> bool:
        Session().send(f"https://{host}/{SECRET}", json.dumps(body).encode())
        return True

    assert outcome(monkeypatch, notify) == said
    assert Session.send.__name__ == "send"


def test_a_receiver_that_never_answers_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_LONGEST_DELIVERY", 0.05)
    assert outcome(monkeypatch, lambda: bool(time.sleep(30))) == "no answer: connection timed out"


def test_a_host_without_apprise_is_told_from_a_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([f"slack://{SECRET}/B/C"])))
    assert main("", ["check"]) == 3
    assert capsys.readouterr().err == "Debian's package apprise is not installed\n"
