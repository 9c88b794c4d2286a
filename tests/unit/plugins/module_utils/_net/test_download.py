# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._net.download import (
    DownloadError,
    download,
    parse_checksum,
    verify,
    without_secrets,
)

NAMES = {"option": "release_archive", "declared": "release_checksum"}


@pytest.mark.parametrize("text", ["", "md5:" + "0" * 32, "sha256:abc", "sha256:" + "g" * 64, "sha512:" + "0" * 64])
def test_a_wrong_checksum_is_refused(text: str) -> None:
    with pytest.raises(DownloadError, match="is no checksum"):
        parse_checksum(text)


def test_another_file_is_named_with_both_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    found, declared = hashlib.sha256(b"x").hexdigest(), "0" * 64
    verify(path, f"sha256:{found.upper()}", "a", "c")
    with pytest.raises(DownloadError, match=f"^a has the checksum sha256:{found}, not sha256:{declared} of c"):
        verify(path, f"sha256:{declared}", "a", "c")


@pytest.mark.parametrize("address", ["http://127.0.0.1/a", "file:///etc/passwd", "ftp://127.0.0.1/a"])
def test_only_https_is_fetched(tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadError, match="only https"):
        download(address, tmp_path / "a", "sha256:" + "0" * 64, 5, **NAMES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://127.0.0.1:1/a.tgz", "https://127.0.0.1:1/a.tgz"),
        ("https://ann:t0ken@h/a.tgz can't", "https://***@h/a.tgz can't"),
        ("https://h/a.tgz?token=t0ken&x=1 can't", "https://h/a.tgz?*** can't"),
        ("is it? https://t0ken@h/a?t0ken", "is it? https://***@h/a?***"),
    ],
)
def test_no_token_of_an_address_is_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_fetch_that_fails_shows_no_token(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as failed:
        download("https://ann:t0ken@127.0.0.1:1/a?key=t0ken", tmp_path / "a", "sha256:" + "0" * 64, 5, **NAMES)
    assert "t0ken" not in str(failed.value)
    assert "https://***@127.0.0.1:1/a?***" in str(failed.value)


def test_an_address_that_nobody_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"release_archive https://127\.0\.0\.1:9/a can't be fetched"):
        download("https://127.0.0.1:9/a", tmp_path / "a", "sha256:" + "0" * 64, 5, **NAMES)
