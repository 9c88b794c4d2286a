# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging copy, and what nginx says about it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Change, Entry
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import Certificate
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import (
    Layout,
    Rewriter,
    Verdict,
    check_changes,
    excerpt,
    explain,
    limit_zones,
    refuse_missing_zones,
    staging,
)
from certificates import issue
from hypothesis import given
from hypothesis import strategies as st

REWRITER = Rewriter({Path("/etc/nginx"): Path("/run/copy"), Path("/var/log/nginx"): Path("/run/logs")})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    config, logs, scratch = tmp_path / "etc", tmp_path / "log", tmp_path / "run"
    for directory in (config / "sites-available", config / "sites-enabled", logs / "shop", scratch):
        directory.mkdir(parents=True)
    (config / "nginx.conf").write_text(f"include {config}/sites-enabled/*;\nerror_log {logs}/error.log;\n")
    (config / "sites-available/default").write_text("server {}\n")
    (config / "sites-enabled/default").symlink_to(config / "sites-available/default")
    return Layout(config=config, logs=logs, scratch=scratch, pid=tmp_path / "nginx.pid")


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        (b"include /etc/nginx/conf.d/*.conf;", b"include /run/copy/conf.d/*.conf;"),
        (b'include "/etc/nginx/a";', b'include "/run/copy/a";'),
        (b"root /etc/nginx;", b"root /run/copy;"),
        (b"access_log /var/log/nginx/a.log;", b"access_log /run/logs/a.log;"),
        (b"include conf.d/*.conf;", b"include conf.d/*.conf;"),
        (b"include /etc/nginx-old/a;", b"include /etc/nginx-old/a;"),
        (b"include /srv/etc/nginx/a;", b"include /srv/etc/nginx/a;"),
        (b"# \xff /etc/nginx/a", b"# \xff /run/copy/a"),
    ],
)
def test_only_whole_prefixes_are_rewritten(text: bytes, rewritten: bytes) -> None:
    assert REWRITER.rewrite(text) == rewritten


@given(st.lists(st.sampled_from(["/etc/nginx", "/var/log/nginx", "/", "a", "\n", ";", " ", "é"])).map("".join))
def test_line_numbers_stay_right(text: str) -> None:
    assert REWRITER.rewrite(text.encode()).count(b"\n") == text.count("\n")


def test_the_copy_points_into_itself_and_is_gone_afterwards(layout: Layout) -> None:
    change = Change("conf.d/shop.conf", None, Entry(f"include {layout.config}/snippets/a;\n".encode()))
    with staging(layout, [change]) as copy:
        assert (copy.config / "nginx.conf").read_text() == (
            f"include {copy.config}/sites-enabled/*;\nerror_log {copy.logs}/error.log;\n"
        )
        assert (copy.config / "sites-enabled/default").resolve().is_relative_to(copy.config)
        assert (copy.config / "conf.d/shop.conf").read_text() == f"include {copy.config}/snippets/a;\n"
        assert (copy.logs / "shop").is_dir()
    assert not layout.scratch.exists()
    assert not (layout.config / "conf.d").exists()


def test_a_removed_file_is_not_in_the_copy(layout: Layout) -> None:
    with staging(layout, [Change("sites-enabled/default", Entry(target="x"), None)]) as copy:
        assert not (copy.config / "sites-enabled/default").is_symlink()


# As nginx 1.26.3 wrote it.
UNKNOWN = '2026/11/25 00:21:53 [emerg] 908#908: unknown directive "prox_pass" in /etc/nginx/conf.d/neg.conf:4'


def test_a_complaint_is_shown_with_its_lines() -> None:
    text = "".join(f"line {number}\n" for number in range(1, 10))
    explained = explain(f"{UNKNOWN}\nnginx: configuration file test failed\n", {"/etc/nginx/conf.d/neg.conf": text}.get)
    assert explained.splitlines() == [
        UNKNOWN,
        "     1 | line 1",
        "     2 | line 2",
        "     3 | line 3",
        ">    4 | line 4",
        "     5 | line 5",
        "     6 | line 6",
        "     7 | line 7",
    ]


def test_a_complaint_about_an_unreadable_file_is_shown_alone() -> None:
    assert explain(UNKNOWN, lambda _path: None) == UNKNOWN


def test_words_without_a_level_are_shown_whole() -> None:
    assert explain("nginx: error while loading shared libraries", lambda _path: None).startswith("nginx: error")


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_an_excerpt_never_fails(text: str, number: int) -> None:
    assert excerpt(text, number).count("> ") <= 1 + text.count("> ")


def test_zones_are_found_but_not_in_comments() -> None:
    # As `nginx -T` prints it.
    configuration = """# configuration file /etc/nginx/conf.d/shop.conf:
limit_req_zone $binary_remote_addr zone=shop_api:10m rate=1r/s;
    limit_conn_zone $server_name
        zone=shop_total:64k;
# limit_req_zone $binary_remote_addr zone=off:10m rate=1r/s;
limit_req zone=used burst=5;
"""
    assert limit_zones(configuration) == {"shop_api", "shop_total"}


def test_a_missing_zone_is_named_with_those_there_are() -> None:
    refuse_missing_zones(["a"], frozenset("ab"))
    with pytest.raises(StabilityError, match=r"named c\. It has a, b"):
        refuse_missing_zones(["a", "c"], frozenset("ab"))


def test_a_certificate_is_checked_in_the_copy(layout: Layout) -> None:
    """Here without nginx: the check comes before nginx is asked."""
    issued = issue("shop.test", ends=-1, begins=-2)
    changes = [
        Change("shop/chain.pem", None, Entry(issued.pem.encode())),
        Change("shop/key.pem", None, Entry(issued.key_pem().encode(), 0o600, secret=True)),
    ]
    for certificate in ("shop/chain.pem", str(layout.config / "shop/chain.pem")):
        with pytest.raises(StabilityError, match=r"certificates: .*shop/chain\.pem expired on"):
            check_changes(layout, changes, [Certificate(certificate, "shop/key.pem")])


def test_what_a_killed_run_left_is_removed(layout: Layout) -> None:
    (layout.scratch / "of-a-killed-run").mkdir()
    with staging(layout, []) as copy:
        assert [copy.config.parent] == list(layout.scratch.iterdir())


def test_conflicting_names_are_found() -> None:
    # As nginx 1.26.3 wrote it.
    warning = '2026/11/25 00:21:54 [warn] 960#960: conflicting server name "_" on 0.0.0.0:80, ignored'
    assert Verdict(True, warning, frozenset()).conflicts() == {("_", "0.0.0.0:80")}
