# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a file is, and what that means for a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Entry, put
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import Certificate
from ansible_collections.workbot.stability.plugins.module_utils._nginx.ledger import Ledger, Record, Shared, Trace
from ansible_collections.workbot.stability.plugins.module_utils._nginx.plan import (
    LIMITS,
    Desired,
    Plan,
    limits_text,
    make_plan,
    size,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._nginx.transaction import Transaction
from hypothesis import given
from hypothesis import strategies as st

SITE = "conf.d/shop.conf"
FORMAT = "conf.d/format.conf"
SITE_FILES = {SITE: Entry(b"shop\n"), "shop/key.pem": Entry(b"hidden\n", 0o600, secret=True)}


class Host:
    """A configuration directory and the records, with the files changed as a run changes them."""

    def __init__(self, path: Path) -> None:
        self.root, self.state = path / "nginx", path / "state"
        self.state.mkdir()
        for name in ("conf.d", "modules-enabled", "shop"):
            (self.root / name).mkdir(parents=True)

    def plan(self, name: str, *desired: Any, **more: Any) -> Plan:
        return make_plan(Layout(config=self.root, state=self.state), Desired(name, *desired, **more))

    def run(self, name: str, *desired: Any, **more: Any) -> Plan:
        plan = self.plan(name, *desired, **more)
        for change in plan.writes:
            (self.root / change.path).parent.mkdir(parents=True, exist_ok=True)
            put(str(self.root / change.path), change.after)
        Transaction(self.root, self.state / ".journal.json").remove_empty(plan.emptied)
        return plan

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def paths(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def changed(plan: Plan) -> dict[str, bool]:
    """Of each path that changes whether it is there afterwards."""
    return {change.path: change.after is not None for change in plan.changes}


def test_a_second_run_has_nothing_to_do(host: Host) -> None:
    certificates = [Certificate(str(host.state / "a.pem"), str(host.state / "a.key"))]
    site = (SITE_FILES, {FORMAT: Shared(Entry(b"f"))}, {"worker_rlimit_nofile": "10"})
    assert changed(host.run("shop", *site, certificates=certificates)) == dict.fromkeys(
        [*SITE_FILES, FORMAT, LIMITS], True
    )
    assert host.plan("shop", *site, certificates=certificates) == Plan()


def test_what_is_no_longer_wanted_goes_and_all_of_it_goes_without_wishes(host: Host) -> None:
    host.run("shop", SITE_FILES)
    host.run("other", {"conf.d/other.conf": Entry(b"o")})
    assert changed(host.run("shop", {"conf.d/new.conf": Entry(b"n")})) == {
        "conf.d/new.conf": True,
        **dict.fromkeys(SITE_FILES, False),
    }
    host.run("shop")
    assert host.paths() == {"conf.d/other.conf"}
    assert sorted(path.name for path in host.state.iterdir()) == ["other.json"]


def test_directories_that_were_made_for_a_site_go_with_it(host: Host) -> None:
    (host.root / "shop").rmdir()
    host.run("shop", {"shop/a/b": Entry(b"1"), "shop/c": Entry(b"1"), "conf.d/d": Entry(b"1")})
    host.run("shop", {"shop/c": Entry(b"1"), "conf.d/d": Entry(b"1")})
    assert not (host.root / "shop/a").exists()
    assert host.plan("shop", {"shop/c": Entry(b"1"), "conf.d/d": Entry(b"1")}) == Plan()
    host.write("shop/of-somebody-else", "")
    host.run("shop")
    assert host.paths() == {"shop/of-somebody-else"}
    assert (host.root / "conf.d").is_dir()


def test_the_record_is_for_root_alone_and_holds_no_secret(host: Host) -> None:
    host.run("shop", SITE_FILES)
    record = host.state / "shop.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert "hidden" not in record.read_text()


def test_a_file_of_another_site_is_refused_by_name(host: Host) -> None:
    host.run("other", {SITE: Entry(b"shop\n")}, {FORMAT: Shared(Entry(b"f"))})
    for files, absent in ((SITE_FILES, []), ({}, [SITE]), ({FORMAT: Entry(b"f")}, []), ({}, [FORMAT])):
        with pytest.raises(StabilityError, match="belongs to other"):
            host.plan("shop", files, absent=absent)


def test_a_file_of_nobody_is_refused_unless_it_is_as_wanted(host: Host) -> None:
    host.write(SITE, "by hand\n")
    with pytest.raises(StabilityError, match=r"conf\.d/shop\.conf is there already.*it is foreign"):
        host.plan("shop", SITE_FILES)
    host.write(SITE, "shop\n")
    plan = host.run("shop", SITE_FILES)
    assert plan.adopted == [SITE]
    assert SITE not in changed(plan)
    assert changed(host.plan("shop"))[SITE] is False


def test_a_link_in_the_way_is_refused(host: Host) -> None:
    (host.root / SITE).symlink_to("/etc/passwd")
    with pytest.raises(StabilityError, match="it is foreign"):
        host.plan("shop", SITE_FILES)


def test_what_was_edited_by_hand_is_told_and_put_right(host: Host) -> None:
    host.run("shop", SITE_FILES)
    host.write(SITE, "edited\n")
    (host.root / "shop/key.pem").unlink()
    plan = host.plan("shop", SITE_FILES)
    assert plan.edited == list(SITE_FILES)
    changed_files = {**SITE_FILES, SITE: Entry(b"new\n")}
    host.run("shop", SITE_FILES)
    assert host.plan("shop", changed_files).edited == []


def test_no_difference_shows_a_secret(host: Host) -> None:
    shown = host.run("shop", SITE_FILES).changes[1].diff(host.root)
    assert (shown["before"], shown["after"]) == ("", "0600\n(secret changed)\n")
    other = {**SITE_FILES, "shop/key.pem": Entry(b"another\n", 0o600, secret=True)}
    for files, texts in (
        (other, ("0600\n(secret)\n", "0600\n(secret changed)\n")),
        ({}, ("0600\n(secret)\n", "")),
    ):
        shown = host.plan("shop", files).changes[-1].diff(host.root)
        assert (shown["before"], shown["after"]) == texts


def test_a_shared_file_stays_until_the_last_site_has_gone(host: Host) -> None:
    shared = {FORMAT: Shared(Entry(b"f"))}
    host.run("shop", shared=shared)
    assert changed(host.run("other", shared=shared)) == {}
    assert changed(host.run("shop")) == {}
    assert changed(host.run("other")) == {FORMAT: False}


def test_a_shared_file_must_be_wanted_alike(host: Host) -> None:
    host.run("shop", shared={FORMAT: Shared(Entry(b"f"))})
    with pytest.raises(StabilityError, match=r"shared with shop, which wants other content.*above 1"):
        host.plan("other", shared={FORMAT: Shared(Entry(b"g"))})
    assert changed(host.run("shop", shared={FORMAT: Shared(Entry(b"g"))})) == {FORMAT: True}


def test_the_highest_version_of_a_shared_file_counts(host: Host) -> None:
    old, new = {FORMAT: Shared(Entry(b"1"))}, {FORMAT: Shared(Entry(b"2"), version=2)}
    host.run("shop", shared=old)
    host.run("other", shared=old)
    assert changed(host.run("shop", shared=new)) == {FORMAT: True}
    assert changed(host.run("other", shared=old)) == {}
    assert changed(host.run("other", shared=new)) == {}
    assert (host.root / FORMAT).read_bytes() == b"2"
    # the site with the new version goes, and with it the reason for it
    host.run("other", shared=old)
    host.run("shop")
    assert changed(host.plan("other", shared=old)) == {FORMAT: True}


def test_the_largest_worker_limit_counts(host: Host) -> None:
    host.run("shop", worker_limits={"worker_rlimit_nofile": "9000", "worker_shutdown_timeout": "30m"})
    host.run("other", worker_limits={"worker_rlimit_nofile": "10000", "worker_shutdown_timeout": "90s"})
    text = (host.root / LIMITS).read_text()
    assert text.splitlines()[1:] == ["worker_rlimit_nofile 10000;", "worker_shutdown_timeout 30m;"]
    host.run("other", SITE_FILES)
    assert "worker_rlimit_nofile 9000;" in (host.root / LIMITS).read_text()
    host.run("shop")
    assert not (host.root / LIMITS).exists()


def test_worker_limits_of_somebody_else_stay(host: Host) -> None:
    host.write(LIMITS, "worker_rlimit_nofile 1;\n")
    with pytest.raises(StabilityError, match="it is foreign"):
        host.plan("shop", worker_limits={"worker_rlimit_nofile": "10"})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("4096", 4096), ("90s", 90), ("1h", 3600), ("1h 30m", 5400), ("500ms", 0.5), ("1M", 2592000), ("1d12h", 129600)],
)
def test_sizes_are_compared_by_what_they_mean(value: str, seconds: float) -> None:
    assert size(value) == seconds


@pytest.mark.parametrize("value", ["", "soon", "1x", "-1", "1h; load_module evil"])
def test_what_is_no_size_is_refused(value: str) -> None:
    with pytest.raises(StabilityError, match="neither a number nor a duration"):
        limits_text([{"worker_shutdown_timeout": value}])


def test_a_renewed_certificate_of_somebody_else_is_noticed(host: Host) -> None:
    path = host.state / "a.pem"
    certificates = [Certificate(str(path), str(path))]
    path.write_text("1")
    host.run("shop", SITE_FILES, certificates=certificates)
    path.write_text("2")
    plan = host.run("shop", SITE_FILES, certificates=certificates)
    assert plan.renewed == [str(path)]
    assert plan.concerns_nginx()
    assert host.plan("shop", SITE_FILES, certificates=certificates) == Plan()


def test_a_file_wanted_twice_is_refused(host: Host) -> None:
    with pytest.raises(StabilityError, match=f"{SITE}: wanted twice"):
        host.plan("shop", SITE_FILES, {SITE: Shared(Entry(b"a"))})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 1}', '{"files": {"a": {"mood": 1}}}', "\0"])
def test_a_record_that_is_none_is_named(host: Host, text: str) -> None:
    (host.state / "other.json").write_text(text)
    with pytest.raises(StabilityError, match=r"other\.json is no record of a site's files"):
        host.plan("shop", SITE_FILES)


def test_the_journal_is_no_record(host: Host) -> None:
    (host.state / ".journal.json").write_text("{}")
    assert Ledger(host.state, "shop").others == {}


texts = st.text(max_size=5)
traces = st.builds(Trace, texts, st.integers(0, 0o777), st.booleans(), st.integers(1, 9))


dictionaries = [st.dictionaries(texts, kind, max_size=3) for kind in (traces, traces, texts, texts)]


@given(st.builds(Record, *dictionaries, st.tuples(texts)))
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert Record.unpack(record.pack()) == record


names = st.sampled_from(["shop", "other", "third"])
files = st.dictionaries(st.sampled_from([f"conf.d/{letter}.conf" for letter in "abc"]), st.sampled_from([b"1", b"2"]))


@given(st.lists(st.tuples(names, files, files), max_size=8))
def test_no_run_ever_touches_what_is_not_its_own(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[str, Mapping[str, bytes], Mapping[str, bytes]]]
) -> None:
    host = Host(tmp_path_factory.mktemp("host"))
    host.write("conf.d/a.conf", "of nobody")
    for name, own, shared in runs:
        site = (
            {path: Entry(content) for path, content in own.items()},
            {path: Shared(Entry(content)) for path, content in shared.items()},
        )
        ledger = Ledger(host.state, name)
        try:
            plan = host.run(name, *site)
        except StabilityError:
            continue
        for path in changed(plan):
            assert not ledger.holder(path)
            assert path != "conf.d/a.conf"
            assert not ledger.sharers(path)
        assert host.plan(name, *site) == Plan()
    for name in ("shop", "other", "third"):
        host.run(name)
    assert host.paths() == {"conf.d/a.conf"}


def test_a_trace_tells_content_mode_and_kind() -> None:
    entry = Entry(b"a", 0o644)
    assert Trace.of(entry).fits(entry)
    for other in (None, replace(entry, content=b"b"), replace(entry, mode=0o600), Entry(target="a")):
        assert not Trace.of(entry).fits(other)


def test_the_connections_of_nginx_conf_are_the_most_that_a_site_asks_for(host: Host) -> None:
    host.write("nginx.conf", "events { worker_connections 768; }\n")
    asks = {"shop": "4096", "kiosk": "8192"}
    for name, number in asks.items():
        host.run(name, {f"conf.d/{name}.conf": Entry(b"x\n")}, worker_limits={"worker_connections": number})
    assert "worker_connections 8192;" in (host.root / "nginx.conf").read_text()
    assert "worker_connections" not in (host.root / LIMITS).read_text()
    assert (
        changed(host.plan("shop", {"conf.d/shop.conf": Entry(b"x\n")}, worker_limits={"worker_connections": "4096"}))
        == {}
    )
    host.run("kiosk")
    assert "worker_connections 4096;" in (host.root / "nginx.conf").read_text()
    host.run("shop")
    assert "worker_connections 768;" in (host.root / "nginx.conf").read_text()


def test_nginx_conf_is_no_file_of_a_site(host: Host) -> None:
    host.write("nginx.conf", "events { worker_connections 768; }\n")
    with pytest.raises(StabilityError, match=r"nginx\.conf is there already"):
        host.plan("shop", {"nginx.conf": Entry(b"events {}\n")}, worker_limits={"worker_connections": "8192"})
