# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the kernel, on files that stand for those of /proc/sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host import kernel_settings
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._host.kernel_settings import differing

NAME = "fs.protected_symlinks"


@pytest.fixture
def setting(tmp_path: Path) -> Path:
    (tmp_path / "fs").mkdir()
    path = tmp_path / "fs" / "protected_symlinks"
    path.write_text("0\n", encoding="utf-8")
    return path


def test_a_setting_is_made_and_then_is_as_wanted(tmp_path: Path, setting: Path) -> None:
    (found,) = differing({NAME: "1"}, tmp_path)
    assert found.lines() == (f"{NAME} = 0\n", f"{NAME} = 1\n")
    found.make()
    assert setting.read_text(encoding="utf-8") == "1\n"
    assert differing({NAME: "1"}, tmp_path) == []


def test_one_that_can_not_be_set_is_refused_with_what_to_do(
    tmp_path: Path, setting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What access() says on a read-only /proc/sys, to root as well.
    monkeypatch.setattr(kernel_settings.os, "access", lambda _path, mode: mode != os.W_OK)
    with pytest.raises(StabilityError, match=rf"{NAME} is 0; expected 1.*sysctl -w {NAME}=1.*Nothing was changed"):
        differing({NAME: "1"}, tmp_path)
    assert setting.read_text(encoding="utf-8") == "0\n"


def test_one_that_the_kernel_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=r"fs\.nothing: the kernel of this host has no such setting"):
        differing({"fs.nothing": "1"}, tmp_path)


def test_the_kernel_of_this_machine_is_asked() -> None:
    value = Path("/proc/sys/kernel/ostype").read_text(encoding="utf-8").strip()
    assert differing({"kernel.ostype": value}) == []
