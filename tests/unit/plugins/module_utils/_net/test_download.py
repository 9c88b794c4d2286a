# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import random
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._net.download import (
    DownloadError,
    download,
    parse_checksum,
    verify,
    without_secrets,
)
from certificates import issue

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
        ("at=https://t0ken@h/a,https://h/?t0ken", "at=https://***@h/a,https://h/?***"),
        ("is it? https://t0ken@h/a?t0ken", "is it? https://***@h/a?***"),
    ],
)
def test_no_token_of_an_address_is_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize("part", ["a", "://", "a://", "a://a", "https://a.b/?", "a://b?", "a@", "?", " a://b@"])
def test_a_long_text_takes_no_time(part: str) -> None:
    start = time.process_time()
    without_secrets(part * (70_000 // len(part)))
    assert time.process_time() - start < 1


def test_a_fetch_that_fails_shows_no_token(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as failed:
        download("https://ann:t0ken@127.0.0.1:1/a?key=t0ken", tmp_path / "a", "sha256:" + "0" * 64, 5, **NAMES)
    assert "t0ken" not in str(failed.value)
    assert "https://***@127.0.0.1:1/a?***" in str(failed.value)


def test_an_address_that_nobody_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"release_archive https://127\.0\.0\.1:9/a can't be fetched"):
        download("https://127.0.0.1:9/a", tmp_path / "a", "sha256:" + "0" * 64, 5, **NAMES)


FILE = gzip.compress(random.Random(1).randbytes(300_000), mtime=0)
CHECKSUM = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
# How an answer says where it ends, by the first part of its path; the last one says that the file is an encoding.
FRAMES = {
    "length": f"Content-Length: {len(FILE)}",
    "chunks": "Transfer-Encoding: chunked",
    "close": "Connection: close",
    "encoded": f"Content-Encoding: gzip\r\nContent-Length: {len(FILE)}",
}


class Archives(http.server.BaseHTTPRequestHandler):
    """/<frame>/whole is FILE; /<frame>/drip is its beginning, a byte each 50 ms; /<frame>/broken ends in the middle."""

    def do_GET(self) -> None:
        _root, frame, how = self.path.split("/")
        self.close_connection = True
        self.wfile.write(f"HTTP/1.1 200 OK\r\n{FRAMES[frame]}\r\n\r\n".encode())
        size = 1 if how == "drip" else 40_000
        pieces = [FILE[start : start + size] for start in range(0, len(FILE), size)]
        with contextlib.suppress(OSError):
            for piece in {"drip": pieces[:200], "broken": pieces[:2], "whole": pieces}[how]:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if frame == "chunks" else piece)
                time.sleep(0.05 * (how == "drip"))
            if frame == "chunks" and how == "whole":
                self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of archives whose certificate is trusted."""
    issued = issue("127.0.0.1", names=["127.0.0.1"], authority=True)
    (tmp_path / "pem").write_text(issued.pem + issued.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archives) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("frame", FRAMES)
def test_a_file_is_fetched_as_it_is_sent(archives: str, tmp_path: Path, frame: str) -> None:
    download(f"{archives}/{frame}/whole", tmp_path / "a", CHECKSUM, 30, **NAMES)
    assert (tmp_path / "a").read_bytes() == FILE


@pytest.mark.parametrize("frame", FRAMES)
def test_a_drip_ends_with_the_time_limit(archives: str, tmp_path: Path, frame: str) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError, match="was not fetched within 1 s"):
        download(f"{archives}/{frame}/drip", tmp_path / "a", CHECKSUM, 1, **NAMES)
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("frame", FRAMES)
def test_what_breaks_off_is_no_file(archives: str, tmp_path: Path, frame: str) -> None:
    with pytest.raises(DownloadError, match=r"IncompleteRead|has the checksum"):
        download(f"{archives}/{frame}/broken", tmp_path / "a", CHECKSUM, 30, **NAMES)
