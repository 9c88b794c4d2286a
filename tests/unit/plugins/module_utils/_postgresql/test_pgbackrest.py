# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest says, as it was captured from a real one (2.55.1), and what is reported of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.pgbackrest import (
    Backup,
    BackupError,
    parse,
    sentence,
)
from places import FIXTURES

INFO = FIXTURES / "pgbackrest/info.json"
REFUSED = """P00  ERROR: [039]: HTTP request failed with 403 (Forbidden):
            *** Path/Query ***:
            GET /?delimiter=%2F&list-type=2&prefix=backup%2Fworkbot%2F
            *** Request Headers ***:
            authorization: <redacted>
            content-length: 0
            host: shop-backup.store.test
            x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
            x-amz-date: <redacted>
"""
NO_BUCKET = f"""{REFUSED.replace("403 (Forbidden)", "404 (Not Found)")}            *** Response Headers ***:
            content-type: application/xml
            *** Response Content ***:
            <?xml version="1.0"?>
            <Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message><RequestId>1</RequestId></Error>
"""
NOTHING: dict[str, Any] = {"archive": [], "backup": [], "db": [], "name": "workbot-test"}


def test_backups_are_read_the_oldest_first() -> None:
    full, diff = parse(INFO.read_text(encoding="utf-8"), "workbot-test")
    assert full == Backup("20261129-144256F", True, 1795963377.0, 31574959, 3760432, False, True, "17")
    assert (diff.label, diff.full, diff.stored) == ("20261129-144256F_20261129-144811D", False, 197232)


def test_backups_of_before_an_upgrade_are_told_from_those_of_the_server_of_now() -> None:
    stanzas = json.loads(INFO.read_text(encoding="utf-8"))
    servers: list[dict[str, Any]] = stanzas[0]["db"]
    servers += [{**servers[0], "id": 2, "version": "18"}, {**servers[0], "repo-key": 2}]
    stanzas[0]["backup"][1]["database"]["id"] = 2
    assert [backup.current for backup in parse(json.dumps(stanzas), "workbot-test")] == [False, True]


@pytest.mark.parametrize(
    "stanzas",
    [[], [{**NOTHING, "status": {"code": 1, "message": "missing stanza path"}}], [{**NOTHING, "name": "other"}]],
)
def test_a_repository_without_the_stanza_has_no_backup(stanzas: list[dict[str, Any]]) -> None:
    assert parse(json.dumps(stanzas), "workbot-test") == []


def test_why_a_repository_can_not_be_read_is_said() -> None:
    trouble = {"code": 99, "message": "[PathOpenError] unable to list '/srv/backup': [13] Permission denied"}
    stanza = {**NOTHING, "repo": [{"status": trouble}], "status": {"code": 99, "message": "other"}}
    with pytest.raises(BackupError, match="Permission denied"):
        parse(json.dumps([stanza]), "workbot-test")


def test_a_wrong_key_is_told_whatever_it_makes_of_a_file() -> None:
    """As pgBackRest writes it: of what it can't show it escapes nothing but quotes and line ends."""
    made = "".join(map(chr, range(1, 32))).replace("\n", "\\n") + "\ufffd"
    said = f"[FormatError] unable to load info file: FormatError: key/value found outside of section at line 1: {made}"
    repo = f'{{"cipher":"aes-256-cbc","key":1,"status":{{"code":99,"message":"{said}"}}}}'
    status = '{"code":99,"message":"other"}'
    text = f'[{{"archive":[],"backup":[],"db":[],"name":"workbot-test","repo":[{repo}],"status":{status}}}]'
    with pytest.raises(BackupError, match="its passphrase is another one"):
        parse(text, "workbot-test")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[1]",
        '[{"name": "workbot-test"}]',
        '[{"name": "workbot-test", "status": {"code": 0}, "backup": [{}]}]',
    ],
)
def test_what_is_not_understood_is_an_error_that_shows_nothing_of_it(text: str) -> None:
    with pytest.raises(BackupError, match="not understood"):
        parse(text, "workbot-test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "P00  ERROR: [055]: unable to open '/srv/x'\n            HINT: is it there?\n",
            "ERROR: [055]: unable to open '/srv/x' HINT: is it there?.",
        ),
        (
            "ERROR: FormatError: key/value found outside of section at line 1: \x11\x12",
            "what is in the repository can't be read: its passphrase is another one, or its files are damaged.",
        ),
        (
            "[CryptoError] unable to verify certificate presented by 'keeper1:8432': [10] certificate has expired",
            "[CryptoError] unable to verify certificate presented by 'keeper1:8432': [10] certificate has expired.",
        ),
        (NO_BUCKET, "ERROR: [039]: HTTP request failed with 404 (Not Found): NoSuchBucket: The bucket does not exist."),
        (REFUSED, "ERROR: [039]: HTTP request failed with 403 (Forbidden)."),
        ("x" * 700, "x" * 600 + "."),
    ],
)
def test_it_is_told_in_one_line(text: str, said: str) -> None:
    assert sentence(text) == said
