# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import accounts
from ansible_collections.workbot.stability.plugins.module_utils._host.accounts import Account, actual


def test_this_users_account_is_read() -> None:
    entry = pwd.getpwuid(os.geteuid())
    found = actual(entry.pw_name)
    assert found is not None
    group = grp.getgrgid(entry.pw_gid).gr_name
    expected = Account(entry.pw_name, group, entry.pw_dir, entry.pw_gecos, entry.pw_shell)
    assert replace(found, powers=(), has_login=False) == expected
    assert actual("no-such-user") is None


@pytest.mark.parametrize(("password", "has_login"), [("", True), ("$y$j9T$x", True), ("!", False), ("*", False)])
def test_an_account_that_somebody_can_log_in_as_or_is_as_good_as_root_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, has_login: bool
) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text(f"root:*:1::::::\nnobody:{password}:1::::::\n")
    monkeypatch.setattr(accounts, "_SHADOW", shadow)
    monkeypatch.setattr(accounts, "_groups", lambda _name: ["sudo", "video"])
    now = actual("nobody")
    assert now is not None
    assert (now.powers, now.has_login) == (("sudo",), has_login)
    assert "in the groups sudo" in now.line()
