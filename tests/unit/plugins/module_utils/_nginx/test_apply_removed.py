# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last site of a host gives back, and what a removal does where nginx does not run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.files import Entry
from ansible_collections.workbot.stability.plugins.module_utils._nginx import apply as nginx_apply
from ansible_collections.workbot.stability.plugins.module_utils._nginx import plan as nginx_plan
from ansible_collections.workbot.stability.plugins.module_utils._nginx.apply import Result, apply
from ansible_collections.workbot.stability.plugins.module_utils._nginx.debian import (
    DEFAULT_SITE,
    DEFAULT_SITE_FILE,
)
from ansible_collections.workbot.stability.plugins.module_utils._nginx.plan import Desired
from ansible_collections.workbot.stability.plugins.module_utils._nginx.staging import Layout
from ansible_collections.workbot.stability.plugins.module_utils._nginx.transaction import Transaction


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A host with Debian's default site and without a program to serve it."""
    found = Layout(tmp_path / "etc", binary=tmp_path / "none", state=tmp_path / "state", lock=tmp_path / "lock")
    for name in ("sites-enabled", "sites-available", "conf.d"):
        (found.config / name).mkdir(parents=True)
    (found.config / DEFAULT_SITE_FILE).write_text("server {}\n")
    (found.config / DEFAULT_SITE).symlink_to(found.config / DEFAULT_SITE_FILE)
    monkeypatch.setattr(nginx_plan, "default_site_is_untouched", lambda config: (config / DEFAULT_SITE).is_symlink())
    return found


def desired(name: str, remove: bool = False) -> Desired:
    files = {} if remove else {f"conf.d/{name}.conf": Entry(name.encode())}
    return Desired(name, files, remove=remove, disable_default_site=not remove)


def installed(layout: Layout, name: str) -> None:
    plan = nginx_plan.make_plan(layout, desired(name))
    Transaction(layout.config, layout.journal).make(plan.writes)
    assert not apply(desired(name), layout, check=True).changed()


def removed(layout: Layout, name: str) -> Result:
    return apply(desired(name, remove=True), layout, check=False)


def test_the_last_site_gives_the_default_site_back(layout: Layout) -> None:
    installed(layout, "shop")
    installed(layout, "kiosk")
    assert not (layout.config / DEFAULT_SITE).is_symlink()
    removed(layout, "shop")
    assert not (layout.config / DEFAULT_SITE).is_symlink(), "kiosk still has the port"
    removed(layout, "kiosk")
    assert (layout.config / DEFAULT_SITE).readlink() == layout.config / DEFAULT_SITE_FILE
    assert list(layout.state.iterdir()) == []
    assert not removed(layout, "kiosk").changed()


def test_it_does_not_come_where_somebody_had_removed_it_or_has_another_site(layout: Layout) -> None:
    (layout.config / DEFAULT_SITE).unlink()
    installed(layout, "shop")
    removed(layout, "shop")
    assert not (layout.config / DEFAULT_SITE).is_symlink()
    (layout.config / DEFAULT_SITE).symlink_to(layout.config / DEFAULT_SITE_FILE)
    installed(layout, "shop")
    (layout.config / "conf.d/by-hand.conf").write_text("")
    removed(layout, "shop")
    assert not (layout.config / DEFAULT_SITE).is_symlink()


class Stopped:
    """nginx, stopped by somebody."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def master(self) -> None:
        return None

    def test(self) -> str:
        if "bad" in " ".join(path.name for path in (self.layout.config / "conf.d").iterdir()):
            raise StabilityError("refused")
        return ""

    activate = start = reload = property(lambda _self: pytest.fail("it was stopped and is to stay so"))


def test_a_stopped_nginx_stays_stopped(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(layout, "shop")
    layout.binary.touch()
    monkeypatch.setattr(nginx_apply, "Service", Stopped)
    monkeypatch.setattr(nginx_apply, "check_changes", lambda *_arguments: SimpleNamespace())
    result = removed(layout, "shop")
    assert result.changed()
    assert not (result.started or result.reloaded)
    assert not removed(layout, "shop").changed()


def test_a_stopped_nginx_that_refuses_the_rest_gets_its_files_back(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(layout, "shop")
    layout.binary.touch()
    (layout.config / "conf.d/bad.conf").write_text("")
    monkeypatch.setattr(nginx_apply, "Service", Stopped)
    monkeypatch.setattr(nginx_apply, "check_changes", lambda *_arguments: SimpleNamespace())
    with pytest.raises(StabilityError, match="refused"):
        removed(layout, "shop")
    assert (layout.config / "conf.d/shop.conf").read_text() == "shop"
    assert not layout.journal.exists()
