# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.modules import packages
from ansible_collections.workbot.stability.plugins.modules.packages import (
    complaints,
    lists_are_current,
    missing_packages,
)

# As dpkg-query prints it: nginx is there, cron was removed but its configuration was left, unknown names are left out.
LISTING = "nginx installed\ncron config-files\n"


def test_what_is_not_installed_is_missing_once() -> None:
    assert missing_packages(["nginx", "cron", "unknown", "cron"], LISTING) == ["cron", "unknown"]


def test_nothing_is_missing_where_all_is_installed() -> None:
    assert missing_packages(["nginx"], LISTING) == []


def test_of_what_apt_says_the_complaints_are_told() -> None:
    said = "WARNING: a script\nW: An error occurred\nE: Unable to locate package nope\n"
    assert complaints(said) == "W: An error occurred\nE: Unable to locate package nope"
    assert complaints("Killed\n") == "Killed"
    failed = "dpkg: error processing package shop (--configure):\n exit status 1\n"
    assert complaints(f"Extracting templates\n{failed}") == failed.strip()


def test_lists_are_current_for_an_hour_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, stamp = tmp_path / "lists", tmp_path / "stamp"
    lists.mkdir()
    monkeypatch.setattr(packages, "_LISTS", lists)
    monkeypatch.setattr(packages, "_FETCHED", stamp)
    # as an image of Debian has it
    assert not lists_are_current()
    (lists / "debian_dists_trixie_InRelease").touch()
    assert lists_are_current()
    two_hours_ago = time.time() - 7200
    os.utime(lists, (two_hours_ago, two_hours_ago))
    assert not lists_are_current()
    stamp.touch()
    assert lists_are_current()
