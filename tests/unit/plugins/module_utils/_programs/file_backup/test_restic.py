# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What restic says, by the words of Debian 12's and Debian 13's."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._programs.file_backup.restic import (
    Restic,
    ResticError,
    Snapshot,
    parse,
    sentence,
)

RESTIC = Restic("/cache", (), {"RESTIC_REPOSITORY": "/backup"})


def test_backups_come_by_their_time() -> None:
    said = [
        {"short_id": "32ec5651", "time": "2026-11-29T20:41:08.801993332Z"},
        {"short_id": "0badcafe", "time": "2026-11-29T21:41:07+01:00"},
    ]
    found = [("0badcafe", 1795984867.0), ("32ec5651", 1795984868.801993)]
    assert parse(json.dumps(said), RESTIC) == [Snapshot(label, begun, RESTIC) for label, begun in found]
    assert parse("[]", RESTIC) == []


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}x", '[{"short_id": "32ec5651"}]', '[{"short_id": 1, "time": "now"}]']
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ResticError, match="not understood"):
        parse(text, RESTIC)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Fatal: unable to open config file\n", "unable to open config file."),
        ('{"message_type":"exit_error","code":1,"message":"Fatal: no route to host"}\n', "no route to host."),
        (
            "Fatal: wrong password or no key found",
            "what is in the repository can't be read: its passphrase is another one.",
        ),
        (
            "Fatal: unable to open config file: 401\nIs there a repository at the following location?\nrest:x\n",
            "unable to open config file: 401.",
        ),
        ("", ""),
        ("x" * 700, "x" * 600 + "."),
    ],
)
def test_an_error_is_one_sentence(said: str, shown: str) -> None:
    assert sentence(said) == shown
