# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a change before nginx is asked, and what is left alone."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Change, Entry
from ansible_collections.workbot.stability.plugins.module_utils._host.lock import lock
from ansible_collections.workbot.stability.plugins.module_utils._net.certificate import Certificate
from ansible_collections.workbot.stability.plugins.module_utils._nginx import debian
from ansible_collections.workbot.stability.plugins.module_utils._nginx.apply import (
    Result,
    _change,
    apply,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.debian import (
    default_site_is_untouched,
    is_in_use,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.ledger import Record, Trace
from ansible_collections.workbot.stability.plugins.module_utils._nginx.plan import Desired, Plan
from ansible_collections.workbot.stability.plugins.module_utils._nginx.probe import Probe
from ansible_collections.workbot.stability.plugins.module_utils._nginx.service import Service
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._nginx.transaction import Transaction


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    """A host without nginx."""
    return Layout(
        config=tmp_path / "etc",
        logs=tmp_path / "logs",
        binary=tmp_path / "none",
        scratch=tmp_path / "scratch",
        lock=tmp_path / "lock",
        state=tmp_path / "state",
    )


def test_check_mode_predicts_without_nginx(bare: Layout) -> None:
    result = apply(Desired("shop", files={"conf.d/a.conf": Entry(b"a")}), bare, check=True)
    assert [change.path for change in result.changes] == ["conf.d/a.conf"]
    assert result.changed()


@pytest.mark.parametrize("made_by_play", [True, False])
def test_check_mode_predicts_with_a_certificate_that_is_not_made_yet(
    bare: Layout, monkeypatch: pytest.MonkeyPatch, made_by_play: bool
) -> None:
    monkeypatch.setattr(Service, "master", lambda _self: 1)
    for directory in (bare.config, bare.logs):
        directory.mkdir()
    bare.binary.touch()
    certificate = Certificate("shop/a.crt", "shop/a.key", made_by_play=made_by_play)
    desired = Desired("shop", files={"conf.d/a.conf": Entry(b"a")}, certificates=[certificate])
    if made_by_play:
        result = apply(desired, bare, check=True)
        assert [change.path for change in result.changes] == ["conf.d/a.conf"]
        assert result.reloaded
        for path in (certificate.certificate, certificate.key):
            (bare.config / path).parent.mkdir(exist_ok=True)
            (bare.config / path).touch()
    with pytest.raises(StabilityError, match=r"certificates: shop/a\.crt (cannot be read|holds no certificate)"):
        apply(desired, bare, check=True)


def test_without_nginx_nothing_can_be_applied(bare: Layout) -> None:
    with pytest.raises(StabilityError, match="not installed"):
        apply(Desired("shop", files={"conf.d/a.conf": Entry(b"a")}), bare, check=False)


def test_ports_alone_change_nothing(bare: Layout) -> None:
    assert not apply(Desired(ports=[1]), bare, check=False).changed()
    assert not bare.lock.exists()


@pytest.mark.parametrize("name", ["", "-a", ".journal", "a/b", "a b"])
def test_a_change_needs_a_name_of_a_site(bare: Layout, name: str) -> None:
    with pytest.raises(StabilityError, match="is no name for a site"):
        apply(Desired(name, files={"conf.d/a.conf": Entry(b"a")}), bare, check=True)


def test_a_name_alone_changes_nothing(bare: Layout) -> None:
    assert not apply(Desired("shop", ports=[1]), bare, check=False).changed()


NOTE = "services/shop/maintenance.json"


@pytest.mark.parametrize(("read", "there", "wanted"), [("", "on", ""), ("on", "", "on"), ("app1", "app1 app2", "app1")])
def test_what_another_run_has_noted_meanwhile_is_kept(bare: Layout, read: str, there: str, wanted: str) -> None:
    note = noted(bare, there)
    for check in (True, False):
        with pytest.raises(StabilityError, match=r"maintenance\.json has changed since this run read it"):
            apply(noting(read, wanted), bare, check)
    assert (note.read_text() if note.exists() else "") == there


# The last one is as an earlier task of the same run has written it.
@pytest.mark.parametrize(("read", "there", "wanted"), [("", "", "on"), ("on", "on", ""), ("", "on", "on")])
def test_what_was_read_and_is_still_there_may_change(bare: Layout, read: str, there: str, wanted: str) -> None:
    noted(bare, there)
    with pytest.raises(StabilityError, match=r"nginx refuses|was broken before"):
        apply(noting(read, wanted), bare, check=True)


def noted(layout: Layout, text: str) -> Path:
    """There is an nginx, which can't be run."""
    layout.config.mkdir()
    layout.logs.mkdir()
    layout.binary.write_text("#!/bin/false\n")
    layout.binary.chmod(0o755)
    note = layout.config / NOTE
    note.parent.mkdir(parents=True)
    if text:
        note.write_text(text)
        layout.state.mkdir()
        (layout.state / "shop.json").write_bytes(Record({NOTE: Trace("0", 0o644)}).pack())
    return note


def noting(read: str, wanted: str) -> Desired:
    files = {"conf.d/a.conf": Entry(b"a"), **({NOTE: Entry(wanted.encode())} if wanted else {})}
    return Desired("shop", files=files, unchanged={NOTE: read})


def test_nothing_is_no_change() -> None:
    assert not Result().changed()


@pytest.mark.parametrize("target", [None, "/etc/nginx/sites-available/mine", "../sites-available/other"])
def test_a_default_site_of_somebody_else_is_left_alone(tmp_path: Path, target: str | None) -> None:
    (tmp_path / "sites-enabled").mkdir()
    link = tmp_path / "sites-enabled/default"
    if target:
        link.symlink_to(target)
    else:
        link.write_text("server {}\n")
    assert not default_site_is_untouched(tmp_path)


@pytest.mark.parametrize(
    "more", ["", "nginx.conf", "sites-available/default", "conf.d/shop.conf", "modules-enabled/mine.conf"]
)
def test_nginx_is_in_use_where_it_serves_more_than_debians_page(
    bare: Layout, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    assert not is_in_use(bare)
    bare.binary.touch()
    for directory in ("conf.d", "modules-enabled", "sites-available", "sites-enabled"):
        (bare.config / directory).mkdir(parents=True)
    packaged = [bare.config / name for name in ("nginx.conf", "sites-available/default")]
    for file in packaged:
        file.write_text("as packaged\n")
    (bare.config / "sites-enabled/default").symlink_to("../sites-available/default")
    module = "/usr/share/nginx/modules-available/mod-stream.conf"
    (bare.config / "modules-enabled/50-mod-stream.conf").symlink_to(module)
    # as dpkg-query shows it on a host that has the package
    digest = hashlib.md5(b"as packaged\n", usedforsecurity=False).hexdigest()
    listing = "".join(f" {file} {digest}\n" for file in packaged)
    monkeypatch.setattr(debian, "run", lambda argv: subprocess.CompletedProcess(argv, 0, listing, ""))
    if more:
        (bare.config / more).write_text("stream {}\n")
    assert is_in_use(bare) is bool(more)


@dataclass
class Served:
    """A server that answers with these statuses, one after the other, the last for ever."""

    statuses: list[int]
    port: int = 0
    asked: list[int] = field(default_factory=list)


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served([200])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0])
            self.send_response(found.asked[-1])
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.port = server.server_address[1]
        yield found
        server.shutdown()


class Running(Service):
    """nginx as if it ran and took every configuration: whether it is asked is the matter here, not what it says."""

    def master(self) -> int | None:
        return 1

    def test(self) -> str:
        return ""

    def activate(self) -> bool:
        return False


def change(layout: Layout, port: int, known: bool, named: str = "shop.test") -> Path:
    """Makes a change with a probe that counts if it was right before; the file that is changed."""
    layout.config.mkdir()
    record = Change(str(layout.state / "shop.json"), Entry(b"{}") if known else None, Entry(b"{ }"))
    before, after = (Entry(f"server_name {names};".encode()) for names in (named, "shop.test"))
    (layout.config / "shop.conf").write_bytes(before.content)
    plan = Plan([Change("shop.conf", before, after), Change("shop-more.conf", None, Entry(b"a"))], record)
    probe = Probe("127.0.0.1", port, "shop.test", if_healthy=True, timeout=2)
    transaction = Transaction(layout.config, layout.journal)
    _change(transaction, Running(layout), Desired("shop", probes=[probe]), plan)
    return layout.config / "shop.conf"


@pytest.mark.parametrize(
    ("known", "named"), [(False, "shop.test"), (True, "my-shop.test"), (True, "shop.test.example")]
)
def test_a_site_or_a_name_that_is_new_is_not_asked_for_what_it_had_before(
    bare: Layout, served: Served, known: bool, named: str
) -> None:
    """Who answers in its name then is another site, such as one that takes every name."""
    served.statuses = [200, 500]
    assert change(bare, served.port, known, named).exists()
    assert served.asked == []


@pytest.mark.parametrize(("statuses", "asked"), [([200], [200, 200]), ([500], [500]), ([500, 200], [500])])
def test_what_was_wrong_before_is_not_held_against_a_change(
    bare: Layout, served: Served, statuses: list[int], asked: list[int]
) -> None:
    served.statuses = statuses
    assert change(bare, served.port, known=True).exists()
    assert served.asked == asked


def test_what_was_right_before_and_is_wrong_now_undoes_the_change(bare: Layout, served: Served) -> None:
    served.statuses = [200, 500]
    with pytest.raises(StabilityError, match="status 500, not 200\nThe previous files are back, and nginx runs"):
        change(bare, served.port, known=True)
    assert list(bare.config.iterdir()) == [bare.config / "shop.conf"]


def test_a_second_run_is_told_what_it_waited_for(bare: Layout) -> None:
    bare.binary.touch()
    busy = pytest.raises(
        StabilityError, match=rf"Another run has been changing .* 0 s \(it holds {bare.lock}\)\. Nothing"
    )
    with lock(bare.lock, RuntimeError()), busy:
        apply(Desired("shop", files={"conf.d/a.conf": Entry(b"a")}), bare, check=False, wait=0)
