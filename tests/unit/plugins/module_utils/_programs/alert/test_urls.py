# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.urls import url_problems

SECRET = "hunter2hunter2"


def test_a_kind_and_what_belongs_in_it_are_left_to_apprise() -> None:
    urls = [
        "json://u:p%5B@h/[x]",
        "jsons://[::1]:8443/path?x=1",
        "syslog://",
        "nosuch://x",
        "https://hooks.slack.com/a",
    ]
    assert list(url_problems(urls)) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "expected an Apprise URL of the form kind://"),
        (SECRET, "expected an Apprise URL of the form kind://"),
        (f"JSON://h/{SECRET}", "its kind in lower case"),
        (f"json://h/{SECRET} x", "without spaces"),
        (f"json://h/{SECRET}\0", "expected an Apprise URL of the form kind://"),
        (f"json://h/{SECRET}\n", "expected an Apprise URL of the form kind://"),
    ],
)
def test_another_form_is_refused_without_the_secret(url: str, said: str) -> None:
    [(place, text)] = url_problems(["json://h", url])
    assert (place, said in text, SECRET in text) == (1, True, False), text


def test_a_url_that_is_there_twice_is_told_once() -> None:
    urls = ["json://a", "json://b", "json://a"]
    assert list(url_problems(urls)) == [(2, "is there twice: each message would come twice")]
