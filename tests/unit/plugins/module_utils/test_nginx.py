# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a request before nginx is asked, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._nginx import Request, Result, apply
from ansible_collections.workbot.stability.plugins.module_utils._nginx_files import Entry, NginxError
from ansible_collections.workbot.stability.plugins.module_utils._nginx_host import default_site_is_untouched
from ansible_collections.workbot.stability.plugins.module_utils._nginx_staging import Layout


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    """A host without nginx."""
    return Layout(config=tmp_path / "etc", binary=tmp_path / "none", lock=tmp_path / "lock", state=tmp_path / "state")


def test_check_mode_predicts_without_nginx(bare: Layout) -> None:
    result = apply(Request("shop", files={"conf.d/a.conf": Entry(b"a")}), bare, check=True)
    assert [change.path for change in result.changes] == ["conf.d/a.conf"]
    assert result.changed()


def test_without_nginx_nothing_can_be_applied(bare: Layout) -> None:
    with pytest.raises(NginxError, match="not installed"):
        apply(Request("shop", files={"conf.d/a.conf": Entry(b"a")}), bare, check=False)


def test_ports_alone_change_nothing(bare: Layout) -> None:
    assert not apply(Request(ports=[1]), bare, check=False).changed()
    assert not bare.lock.exists()


@pytest.mark.parametrize("name", ["", "-a", ".journal", "a/b", "a b"])
def test_a_change_needs_a_name_of_a_site(bare: Layout, name: str) -> None:
    with pytest.raises(NginxError, match="is no name for a site"):
        apply(Request(name, files={"conf.d/a.conf": Entry(b"a")}), bare, check=True)


def test_a_name_alone_changes_nothing(bare: Layout) -> None:
    assert not apply(Request("shop", ports=[1]), bare, check=False).changed()


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
