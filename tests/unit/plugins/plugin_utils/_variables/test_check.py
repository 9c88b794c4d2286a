# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, types and rules of role variables."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.check import (
    Problem,
    RoleVariables,
    check_rules,
    check_type,
    secret_texts,
    show,
    unknown_variables,
)

NGINX = RoleVariables(
    "nginx",
    {
        "nginx_port": {"type": "int"},
        "nginx_listeners": {
            "type": "list",
            "elements": "dict",
            "options": {"port": {"type": "int"}, "token": {"type": "str", "no_log": True}},
        },
        "nginx_ca": {"type": "str", "default": ""},
        "nginx_headers": {"type": "dict", "no_log": True},
    },
    frozenset({"nginx_paths"}),
    {
        "nginx_port": {"rule": "port"},
        "nginx_listeners[].port": {"rule": "port"},
        "nginx_listeners[].token": {"rule": "name"},
        "nginx_ca": {"rule": "path"},
        "nginx_headers{}": {"rule": "name"},
    },
)
SERVICE = RoleVariables("service", {"service_name": {"type": "str", "required": True}})
ALERTING = RoleVariables("alerting", {"alerting_urls": {"type": "list"}})


def unknown(*names: str, ignored: t.Sequence[str] = ()) -> dict[str, str]:
    found = unknown_variables(names, [NGINX, SERVICE, ALERTING], ["nginx", "service", "alerting", "nodejs"], ignored)
    return {problem.name: problem.message for problem in found}


def test_right_names_and_names_of_others_pass() -> None:
    assert not unknown(
        "nginx_port", "nginx_paths", "__nginx_x", "ansible_host", "mine", "nodejs_version", "nginx", "my_port"
    )


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("nginx_prot", "nginx_port"),
        ("ngnix_port", "nginx_port"),
        ("serivce_name", "service_name"),
        ("service_nam", "service_name"),
        ("alert_urls", "alerting_urls"),
    ],
)
def test_a_misspelled_name_is_told_the_right_one(wrong: str, right: str) -> None:
    assert f"did you mean {right}?" in unknown(wrong)[wrong]


def test_an_unknown_name_like_no_other() -> None:
    assert "README" in unknown("nginx_zzzzzzzzzzzz")["nginx_zzzzzzzzzzzz"]


def test_ignored_names_pass() -> None:
    assert not unknown("nginx_mine", "nginx_mine_too", ignored=["nginx_mine*"])
    assert unknown("nginx_my", ignored=["nginx_mine*"])


@pytest.mark.parametrize(
    ("value", "option", "result"),
    [
        ("5", {"type": "int"}, 5),
        ("yes", {"type": "bool"}, True),
        (4, {"type": "str"}, "4"),
        (["a", 2], {"type": "list", "elements": "str"}, ["a", "2"]),
    ],
)
def test_values_that_ansible_users_write(value: t.Any, option: dict[str, t.Any], result: t.Any) -> None:
    assert check_type("x", value, option) == (result, [])


def test_a_path_of_the_host_is_not_one_of_whoever_runs_the_playbook() -> None:
    assert check_type("x", "~/x", {"type": "path"}) == ("~/x", [])


@pytest.mark.parametrize(
    ("value", "option", "message"),
    [
        ("abc", {"type": "int"}, "expected a whole number"),
        (True, {"type": "int"}, "expected a whole number"),
        (1.5, {"type": "int"}, "expected a whole number"),
        ("", {"type": "int"}, "expected a whole number"),
        ("maybe", {"type": "bool"}, "expected true or false"),
        (["a"], {"type": "str"}, "expected a text; put it in quotes"),
        (True, {"type": "str"}, "expected a text; put it in quotes"),
        ("nan", {"type": "float"}, "expected a number"),
        # what argument specs take for true, and filter bool for false
        ("y", {"type": "bool"}, "expected true or false"),
        # the roles would read these letter by letter
        ("a,b", {"type": "list"}, 'expected a list, such as ["a", "b"]; after -e as JSON'),
        (3, {"type": "list"}, 'expected a list, such as ["3"]; after -e as JSON'),
        ({"a": 1}, {"type": "list"}, "expected a list"),
        ("A=1", {"type": "dict"}, "expected a dictionary, such as {NAME: value}"),
        ("secret", {"type": "list", "no_log": True}, "expected a list"),
        (None, {"type": "str"}, "has no value; leave it out to get the default"),
        ("c", {"type": "str", "choices": ["a", "b"]}, "expected one of a, b"),
    ],
)
def test_values_of_the_wrong_type(value: t.Any, option: dict[str, t.Any], message: str) -> None:
    (problem,) = check_type("x", value, option)[1]
    assert problem.message == message


LIMITS = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True},
        "paths": {"type": "list", "elements": "str"},
        "requests": {"type": "int"},
        "method": {"type": "str", "choices": ["GET", "POST"], "default": "GET"},
        "token": {"type": "str", "no_log": True},
        "body": {"type": "str"},
    },
    "required_if": [["method", "POST", ["body"]]],
}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"name": "a"}, "limits = a dictionary with name (h): expected a list"),
        (["a"], "limits[0] = a (h): expected a dictionary, such as {NAME: value}"),
        ([{"name": "a"}, {}], "limits[1].name (h): is required and not set"),
        ([{"name": "a"}, {"name": "b", "method": "POST"}], "limits[1].body (h): is required and not set"),
        ([{"name": "a", "path": []}], "limits[0].path (h): is not known; did you mean paths?"),
        ([{"name": "a", "paths": "/a"}], 'limits[0].paths = /a (h): expected a list, such as ["/a"]; after -e as JSON'),
        ([{"name": None}], "limits[0].name (h): is required and has no value"),
        ([{"name": "a", "paths": [None]}], "limits[0].paths[0] (h): has no value; leave it out to get the default"),
        ([{"name": "a", "requests": "many"}], "limits[0].requests = many (h): expected a whole number"),
        ([{"name": "a", "method": "PUT"}], "limits[0].method = PUT (h): expected one of GET, POST"),
        ([{"name": "a", "token": ["s3cret"]}], "limits[0].token = (hidden) (h): expected a text; put it in quotes"),
    ],
)
def test_what_is_wrong_inside_a_value_is_told_with_its_place(value: t.Any, line: str) -> None:
    assert [problem.line("h") for problem in check_type("limits", value, LIMITS)[1]] == [line]


def test_rules_name_the_place_and_hide_secrets() -> None:
    values = {
        "nginx_port": 99999,
        "nginx_listeners": [{"port": 80}, {"port": 0, "token": "not a name"}],
        "nginx_ca": "",
        "nginx_headers": {"A": "not a name"},
    }
    lines = [problem.line("web1") for problem in check_rules(NGINX, values)]
    name = "expected 1 to 64 letters, digits, _, . and -, not beginning with a dot or dash"
    assert lines == [
        "nginx_port = 99999 (web1): expected a port, 1 to 65535",
        "nginx_listeners[1].port = 0 (web1): expected a port, 1 to 65535",
        f"nginx_listeners[1].token = (hidden) (web1): {name}",
        f"nginx_headers.A = (hidden) (web1): {name}",
    ]


def test_the_empty_text_passes_only_where_it_is_the_default() -> None:
    assert not check_rules(NGINX, {"nginx_ca": ""})
    assert check_rules(NGINX, {"nginx_ca": "x"})


def test_a_line_has_the_origin() -> None:
    assert Problem("a", "is wrong").line("web1", "all.yml:3") == "a (web1, all.yml:3): is wrong"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x", "x"), ("", '""'), (" x", '" x"'), (1, "1"), ({"A": "s"}, "a dictionary with A"), ([{}], "a list of 1"),
     (["a"], '["a"]'), ("x" * 200, "x" * 100 + "..."), ("a\nb", "a\\nb")],
)  # fmt: skip
def test_how_values_are_shown(value: t.Any, shown: str) -> None:
    assert show(value, {}) == shown


def test_secrets_are_found_where_options_declare_them() -> None:
    value = [{"port": 8080, "token": "topsecret"}]
    assert secret_texts(value, NGINX.options["nginx_listeners"]) == {"topsecret"}
    assert secret_texts({"A": ["deep secret", "no"]}, {"no_log": True}) == {"deep secret"}
    assert secret_texts("plain", {"type": "str"}) == set()
