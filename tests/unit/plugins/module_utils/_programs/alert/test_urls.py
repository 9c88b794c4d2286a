# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Apprise 1.2.0 (Debian 12) and 1.9.3 (Debian 13) said of the same URLs: what they take is never refused here."""

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.urls import url_problems

SECRET = "hunter2hunter2"
TAKEN = [
    "json://127.0.0.1:8191/",
    "json://user:pass@h.example./",
    "json://u:p%5B@h/[x]",
    "jsons://[::1]:8443/path?x=1",
    "xml://h",
    "form://host_name/",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "slack://bot@A/B/C/",
    "slack://xoxb-1-2-3/#channel",
    "slack://?token=T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "dingtalk://TOKEN/13800000000",
    "dingtalk://SECRET@TOKEN?template=y",
    "mailtos://smtp.example.com:587?user=alerts%40example.com&pass=x&to=ops@example.com&mode=starttls",
    "mailtos://u:p@example.com",
    "mailto://u@example.com",
    "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "discord://1/2",
    "syslog://",
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "https://discord.com/api/webhooks/1/2",
    "http://localhost/notify/abc",
]
TAKEN_FROM_13 = ["feishu://TOKEN", "feishu://?token=abc", "wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"]
REFUSED = {
    "": "expected an Apprise URL of the form kind://",
    SECRET: "expected an Apprise URL of the form kind://",
    f"JSON://h/{SECRET}": "its kind in lower case",
    f"json://h/{SECRET} x": "without spaces",
    f"json://h/{SECRET}\0": "expected an Apprise URL of the form kind://",
    f"json://h/{SECRET}\n": "expected an Apprise URL of the form kind://",
    "json://": "nothing follows json://",
    f"json://:8080/{SECRET}": "expected json://HOST/PATH",
    f"json://user:{SECRET}/x@h/": "percent-encode",
    f"json://user:{SECRET}#x@h/": "percent-encode",
    f"json://me@example.org:{SECRET}@h/": "percent-encode",
    f"json://user:[{SECRET}]@h/": "has brackets that are no IPv6 address",
    f"slack://[{SECRET}/B/C": "has brackets that are no IPv6 address",
    f"json://h:99999/{SECRET}": "expected json:// with a port of 1 to 65535",
    f"json://h:0/{SECRET}": "expected json:// with a port of 1 to 65535",
    f"slack://{SECRET}/B": "expected slack://A/B/C",
    f"dingtalk://S_C@{SECRET}": "expected dingtalk://SECRET@TOKEN",
    "mailtos://example.com?to=ops@example.com": "expected mailtos://HOST:587?user=USER",
    f"https://host.example/{SECRET}": "a webhook is jsons://HOST/PATH",
    f"http://host.example/{SECRET}": "a webhook is json://HOST/PATH",
    f"slck://{SECRET}": "did you mean slack://?",
    f"telegram://{SECRET}": "did you mean tgram://?",
    f"q1w2e3://{SECRET}": "Apprise knows no q1w2e3://",
    "dbus://": "Apprise knows no dbus://",
}


@pytest.mark.parametrize("debian", ["", "12", "13"])
def test_what_apprise_takes_is_not_refused(debian: str) -> None:
    assert url_problems(TAKEN, debian) == []


@pytest.mark.parametrize("debian", ["", "13"])
def test_what_a_later_apprise_takes_is_not_refused_there(debian: str) -> None:
    assert url_problems(TAKEN_FROM_13, debian) == []


def test_what_only_a_later_apprise_knows_is_told_with_the_release() -> None:
    places, texts = zip(*url_problems(["json://h", *TAKEN_FROM_13], "12"), strict=True)
    assert places == (1, 2, 3)
    assert texts[0] == "feishu:// is known to the Apprise of Debian 13, and not of Debian 12"


@pytest.mark.parametrize("url", REFUSED)
def test_what_apprise_would_not_take_is_told_without_the_secret(url: str) -> None:
    [(place, text)] = url_problems([url], "13")
    assert (place, REFUSED[url] in text, SECRET in text) == (0, True, False), text


def test_a_url_that_is_there_twice_is_told_once() -> None:
    assert url_problems(["json://a", "json://b", "json://a"]) == [(2, "is there twice: each message would come twice")]
