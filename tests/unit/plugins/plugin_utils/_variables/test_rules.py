# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for values."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.rules import expectation, select
from hypothesis import example, given
from hypothesis import strategies as st

GOOD: dict[str, list[t.Any]] = {
    "port": [1, "5432", 65535],
    "size": ["512M", "1G", "64K"],
    "name": ["workbot", "a.b-c_d", "0"],
    "path": ["/srv/a", "/a..b", "/srv/*.log", "/home/ä@b/c-d_e"],
    "data_path": [
        "/mnt/backup",
        "/backup/",
        "/srv/a/*.log",
        "/tmpfiles",
        "/root/.pm2/logs/*.log",
        "/usr/local/app/out.log",
    ],
    "duration": ["10s", "5m", "1h", "500ms", "0s"],
    "identifier": ["a", "_x1", "a" * 63],
    "network": ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "::1"],
    "url": ["http://127.0.0.1:8080/x", "https://example.org", "http://[::1]:80/"],
    "url_path": ["/", "/api/health", "/a?b".replace("?", "%3F")],
    "registry": ["https://user:secret@registry.example.org/npm/"],
    "cron_of_pm2": ["0 3 * * *", "59 0 3 * * *", "*/10 * * * * *"],
    "cron": ["0 * * * *", "*/5 0-6 1,15 * 7", "@daily"],
    "host_name": ["", "a.test", "10.0.0.1"],
    "archive": ["https://a.test/b.tar.gz", __file__],
    "checksum": ["sha256:" + "0f" * 32, "sha384:" + "0f" * 48, "sha512:" + "0F" * 64],
    "certificate": ["-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"],
    "private_key": [
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
        "\n-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----",
    ],
}
BAD: dict[str, list[t.Any]] = {
    "port": [0, 65536, -1, "http", True, 1.5, ""],
    "size": ["1.5G", "0", "0M", "-1", "-1M", "1024", "1T", "1 G", "1g", "", "\n1G", "1G\n"],
    "name": ["", "a/b", "..", ".a", "-a", "a b", "a" * 65, "a\n"],
    "path": ["a/b", "/a/../b", "/", "", "/a\nb", "//", "/a b", "/a'b", "/{a,b}", "/a;b", "/a%h", "/a#b"],
    "data_path": [
        "/proc/x",
        "/tmp",
        "//tmp/",
        "~/x",
        "/etc/passwd",
        "/usr/bin/node",
        "/usr/local",
        "/var/tmp/x",
        "/a/../etc",
    ],
    "duration": ["10", "s", "1.5s", "-1s", "10 s", ""],
    "identifier": ["", "a-b", "A", "1a", "a" * 64, 'a"b'],
    "network": ["999.1.1.1", "10.0.0.1/8", "10.0.0.0/33", "localhost", "", "1.2.3"],
    "url": [
        "ftp://x",
        "http://",
        "example.org",
        "http://x:99999",
        "http://x y",
        "http://x;'",
        "",
        "https://user:secret@example.org/",
        "https://example.org/\u00e9",
    ],
    "registry": ["ftp://x", "http://x y", ""],
    "cron_of_pm2": ["61 * * * *", "60 0 3 * * *", "@daily", "5 @daily", "* * * *", "0 3 * * * * *", ""],
    "url_path": ["", "health", "/a b", "/a;\n", '/"', "/{", "/a#b"],
    "cron": [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "@never",
        "a * * * *",
    ],
    "host_name": ["a b", "a_b", "a/b", "a:80"],
    "archive": ["", "-a", "https://a.test/b c", "http://a.test/b.tar.gz", "a\n"],
    "checksum": ["", "0f" * 32, "sha256:" + "0f" * 31, "md5:" + "0f" * 16, "sha256:" + "0f" * 48],
    "certificate": [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
    ],
    "private_key": ["", "x", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_good_values_pass(kind: str, value: t.Any) -> None:
    assert expectation(value, {"rule": kind}) is None


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_bad_values_are_told_what_they_should_be(kind: str, value: t.Any) -> None:
    assert expectation(value, {"rule": kind})


@pytest.mark.parametrize("value", ["1.5G", "0", "-1", "1024"])
def test_the_words_about_a_size(value: str) -> None:
    words = "a whole number followed by K, M or G, for example 512M"
    assert expectation(value, {"rule": "size"}) == words
    assert expectation(value, {"rule": "size", "also": ["auto"]}) == f"{words}, or auto"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"min": 1, "max": 3}, "a whole number, 1 to 3"),
        ({"min": 1}, "a whole number, 1 or more"),
        ({"max": 3, "also": ["max"]}, "a whole number, at most 3, or max"),
    ],
)
def test_the_words_about_an_integer(rule: dict[str, t.Any], words: str) -> None:
    assert expectation("x", {"rule": "integer", **rule}) == words
    assert expectation(2, {"rule": "integer", **rule}) is None


@given(st.integers(), st.integers(-100, 100), st.integers(-100, 100))
def test_an_integer_is_within_its_bounds(value: int, low: int, high: int) -> None:
    passes = expectation(value, {"rule": "integer", "min": low, "max": high}) is None
    assert passes == (low <= value <= high)


@given(st.text())
@example("a" * 300)
def test_no_text_breaks_a_rule(value: str) -> None:
    for kind in GOOD:
        expectation(value, {"rule": kind})


def test_also_and_refused() -> None:
    rule = {"rule": "pattern", "regex": "[a-z]+", "expected": "lower-case letters", "refused": ["root"], "also": ["-"]}
    assert expectation("workbot", rule) is None
    assert expectation("-", rule) is None
    assert expectation("A", rule) == "lower-case letters, or -"
    assert "belongs to the system" in str(expectation("root", rule))


def test_files_of_the_controller(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("x", encoding="utf-8")
    assert expectation(str(file), {"rule": "file"}) is None
    assert expectation(str(tmp_path), {"rule": "file"}) == "a file that exists on the controller"
    assert expectation(str(tmp_path), {"rule": "directory"}) is None
    assert expectation(str(file), {"rule": "directory"}) == "a directory that exists on the controller"


def test_a_relative_path_on_the_controller_is_looked_for_beside_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("x", encoding="utf-8")
    for kind in ("file", "archive"):
        assert expectation("a.tar", {"rule": kind}, str(tmp_path)) is None
        assert f"but at {tmp_path}/b.tar there is none" in str(expectation("b.tar", {"rule": kind}, str(tmp_path)))


def test_an_address_is_no_path(tmp_path: Path) -> None:
    expected = "an https address or a file that exists on the controller"
    assert expectation("http://me:TOKEN@a.test/b.tar", {"rule": "archive"}, str(tmp_path)) == expected


def test_an_unknown_rule_is_the_roles_mistake() -> None:
    with pytest.raises(StabilityError, match="unknown rule 'prot'"):
        expectation(1, {"rule": "prot"})


def test_select_walks_lists_and_dictionaries() -> None:
    value = [{"port": 1, "headers": {"A": "x"}}, {"port": None}, {"headers": {"B": "y"}}]
    assert list(select(value, "v[].port")) == [("v[0].port", 1)]
    assert list(select(value, "v[].headers{}")) == [("v[0].headers.A", "x"), ("v[2].headers.B", "y")]
    assert list(select(value, "v{}")) == []
    assert list(select(["a", "b"], "v[]")) == [("v[0]", "a"), ("v[1]", "b")]
    assert list(select(7, "v")) == [("v", 7)]
