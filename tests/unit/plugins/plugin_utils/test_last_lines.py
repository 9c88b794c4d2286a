# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run ends with, of failures and of a success."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._last_lines import (
    Failure,
    address_of,
    lines_of_failures,
    lines_of_success,
    same_command,
)

COMMAND = "ansible-playbook site.yml"
TO_GO_ON = ["To go on, once the cause is repaired:", f"  {COMMAND}"]
END = {"service": "shop", "says": ["shop: release b is active"], "name": "shop.test", "tls": False, "port": 80}


def lines(*failures: Failure) -> list[str]:
    found = lines_of_failures(failures, COMMAND)
    assert found[-2:] == TO_GO_ON
    return found[:-2]


def test_of_a_release_the_cause_is_the_first_line_and_what_serves_the_last() -> None:
    failure = Failure(
        "app1", "Activate", "Release b was not taken: Error: no key\nThe log:\n  x", "Release a is active."
    )
    assert lines(failure) == [
        "Failed on app1: Activate",
        "Release b was not taken: Error: no key",
        "Release a is active.",
    ]


def test_what_has_no_such_form_is_shown_as_long_as_it_is_short() -> None:
    assert lines(Failure("app1", "Check", "Task failed: 2 variables are wrong.\n\na: 1\nb: 2\n"))[1:] == [
        "2 variables are wrong.",
        "a: 1",
        "b: 2",
    ]
    assert lines(Failure("app1", "Check", "\n".join(map(str, range(20)))))[-2:] == ["5", "... (all of it is above)"]


def test_where_the_fleet_stands_comes_after_the_cause() -> None:
    standing = (
        "Stopped at app2. What serves now:\n  new: release b on app1\nTo go on: again.\nTo go back: ansible-playbook x"
    )
    assert lines(
        Failure("app2", "Activate", "no key", "Release a is active."), Failure("app2", "Say", standing, ends_run=True)
    ) == [
        "Failed on app2: Activate",
        "no key",
        "Stopped at app2. What serves now:",
        "  new: release b on app1",
        "To go back:",
        "  ansible-playbook x",
    ]


def test_of_many_hosts_some_are_named_and_of_one_the_last_failure() -> None:
    failures = [Failure(f"app{number}", "Check", "no") for number in range(7)]
    assert lines(Failure("app0", "Ask", "rescued"), *failures)[::2] == [
        *(f"Failed on app{number}: Check" for number in range(5)),
        "And on 2 more.",
    ]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["/usr/bin/ansible-playbook", "-i", "my hosts", "site.yml"], "ansible-playbook -i 'my hosts' site.yml"),
        (["a", "-e", "password=x", "b.yml"], "a -e password=... b.yml"),
        (["a", "--extra-vars", "release_id=1 key='x y'"], 'a --extra-vars "release_id=1 key=..."'),
        (["a", "--extra-vars=release_directory=/a b"], "a --extra-vars=..."),
        (["a", "-erelease_directory=/srv", "-ve", '{"key": "x"}'], "a -erelease_directory=/srv -ve ..."),
        (["a", "-e", "@secret.yml", "--extra", "key='"], "a -e @secret.yml --extra ..."),
    ],
)
def test_the_command_has_no_value_that_may_be_a_secret(typed: list[str], shown: str) -> None:
    assert same_command(typed) == shown


def test_a_success() -> None:
    ends: dict[str, dict[str, Any]] = {"app1": {**END, "previous": "a"}, "app2": {**END, "previous": ""}}
    assert lines_of_success(ends, ["in ventory"]) == [
        "app1: shop: release b is active",
        "app2: shop: release b is active",
        "Address: http://shop.test/",
        "How it is: sudo shop-diagnose, on app1",
        "To go back:",
        "  ansible-playbook -i 'in ventory' workbot.stability.rollback",
    ]
    many = {f"app{number}": {**END, "previous": "", "name": ""} for number in range(6)}
    assert lines_of_success(many, [])[5:] == ["And on 1 more.", "How it is: sudo shop-diagnose, on app0"]


@pytest.mark.parametrize(
    ("tls", "port", "address"),
    [
        (False, 80, "http://shop.test/"),
        (False, "8080", "http://shop.test:8080/"),
        (True, 443, "https://shop.test/"),
        (True, 80, "https://shop.test:80/"),
    ],
)
def test_an_address_has_its_port_where_it_is_not_the_usual_one(tls: bool, port: Any, address: str) -> None:
    assert address_of({**END, "tls": tls, "port": port}) == address
