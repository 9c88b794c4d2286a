# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host keeps of the modules' logic from one comparison to the next."""

from __future__ import annotations

import base64
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.modules import compare
from ansible_collections.workbot.stability.plugins.plugin_utils._program import archive

FILE = "module_utils/thing.py"
ARCHIVE = base64.b64encode(archive({FILE: b"THING = 1\n"})).decode()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compare, "KEPT", tmp_path / "kept")
    return tmp_path / "kept"


def call(tmp_path: Path, content: str | None) -> Any:
    """A call with the logic `new`."""
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return compare.logic_of(SimpleNamespace(params={"logic": "new", "archive": content}, tmpdir=str(scratch)))


def test_logic_is_kept_for_the_next_call(tmp_path: Path, kept: Path) -> None:
    assert call(tmp_path, None) is None
    assert call(tmp_path, ARCHIVE) == call(tmp_path, None) == kept / "new"
    assert (kept / "new" / FILE).read_text() == "THING = 1\n"
    assert kept.stat().st_mode & 0o777 == 0o700


def test_what_was_not_used_for_a_day_goes_when_other_logic_comes(tmp_path: Path, kept: Path) -> None:
    for name, hours in (("old", 25), ("other", 23), ("of a run that was killed", 25)):
        (kept / name / "module_utils").mkdir(parents=True)
        os.utime(kept / name, (time.time() - hours * 3600,) * 2)
    call(tmp_path, ARCHIVE)
    assert {path.name for path in kept.iterdir()} == {"other", "new"}


def test_logic_that_is_used_stays(tmp_path: Path, kept: Path) -> None:
    call(tmp_path, ARCHIVE)
    os.utime(kept / "new", (0, 0))
    call(tmp_path, None)
    assert (kept / "new").stat().st_mtime > time.time() - 60


@pytest.mark.parametrize("why", ["no place", "others may write there", "another run was first"])
def test_where_it_can_t_be_kept_it_serves_this_call(
    tmp_path: Path, kept: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "no place":
        kept.write_text("")
    elif why == "others may write there":
        (kept / "new").mkdir(parents=True)
        kept.chmod(0o770)
    else:
        first = compare.unpack
        monkeypatch.setattr(compare, "unpack", lambda text, place: (first(text, kept / "new"), first(text, place)))
    assert call(tmp_path, ARCHIVE) == tmp_path / "scratch"
    assert (tmp_path / "scratch" / FILE).exists()
    if kept.is_dir():
        assert [path.name for path in kept.iterdir()] == ["new"]


@pytest.mark.usefixtures("kept")
def test_what_is_kept_and_can_t_be_imported_is_asked_for_and_nothing_stays_imported(tmp_path: Path) -> None:
    before = {name: module for name, module in sys.modules.items() if name.startswith(compare.PLUGINS)}
    source = f"from {compare.PLUGINS}.module_utils.thing import (\n    THING,\n)\n"
    place = call(tmp_path, ARCHIVE)
    with compare.loaded(place, [source]):
        assert sys.modules[f"{compare.PLUGINS}.module_utils.thing"].THING == 1
    assert {name: module for name, module in sys.modules.items() if name.startswith(compare.PLUGINS)} == before
    (place / FILE).write_text("THING =")
    with pytest.raises(SyntaxError), compare.loaded(place, [source]):
        pass
    assert call(tmp_path, None) is None
