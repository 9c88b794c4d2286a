# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch a file over HTTPS and verify checksums written as `algorithm:hex`."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import time
import urllib.error
from pathlib import Path

from ansible.module_utils.urls import open_url

from .._host.errors import StabilityError

_CHECKSUM = re.compile(r"(sha256|sha384|sha512):([0-9a-fA-F]+)\Z")
_PIECE = 1 << 16
# Neither begins a second time within what it has read: a text of any length takes time in proportion to it.
_LOGIN = re.compile(r"(?<=[a-z0-9+.-]://)[^\s/?#@]+@", re.IGNORECASE)
_QUERY = re.compile(r"(?<!\S)((?>\S*?://)[^\s?]*+)\?\S+")


def without_secrets(text: str) -> str:
    """The text, and of each address in it neither the login nor the query, where a token may be."""
    return _QUERY.sub(r"\1?***", _LOGIN.sub("***@", text))


class DownloadError(StabilityError):
    """The file can't be fetched or is not the one that was asked for."""


def parse_checksum(checksum: str) -> tuple[str, str]:
    """`sha256:abc...` as (algorithm, lower-case hex digest); DownloadError for anything else."""
    match = _CHECKSUM.match(checksum)
    if not match or len(match[2]) != hashlib.new(match[1]).digest_size * 2:
        raise DownloadError(f"{checksum!r} is no checksum: write sha256: (or sha384:, sha512:) and its hex digits.")
    return match[1], match[2].lower()


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(path: Path, checksum: str, name: str, declared: str) -> None:
    """Raise DownloadError unless the file has that checksum, which the variable declared has. name is the file's."""
    algorithm, expected = parse_checksum(checksum)
    found = file_digest(path, algorithm)
    if not hmac.compare_digest(found, expected):
        expects = f"{algorithm}:{expected} of {declared}"
        raise DownloadError(f"{name} has the checksum {algorithm}:{found}, not {expects}.")


def download(url: str, path: Path, checksum: str, timeout: int, *, option: str, declared: str) -> None:
    """Fetch url into path, as it is sent, and verify it.

    timeout (seconds) bounds the transfer of the file, a slow drip included; before it, silence of 30 s ends the wait.
    option and declared are the variables that have the address and the checksum, for messages.
    """
    shown = f"{option} {without_secrets(url)}"
    if not url.startswith("https://"):
        raise DownloadError(f"{shown} can't be fetched: only https:// addresses are.")
    deadline = time.monotonic() + timeout
    try:
        # the checksum is that of the file; decompressing, Python would wait for a whole block
        with open_url(url, timeout=min(30, timeout), decompress=False) as answer, path.open("wb") as out:
            # read() would wait for a whole block as well
            while piece := answer.read1(_PIECE):
                out.write(piece)
                if time.monotonic() > deadline:
                    raise DownloadError(f"{shown} was not fetched within {timeout} s.")
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DownloadError(f"{shown} can't be fetched: {error}") from error
    try:
        verify(path, checksum, shown, declared)
    except DownloadError:
        path.unlink()
        raise
