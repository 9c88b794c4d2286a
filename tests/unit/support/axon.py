# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What PM2's daemon says on its sockets: messages of parts, each after its length."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_VERSION = 0x10


def frame(*parts: bytes) -> bytes:
    """A message."""
    return bytes([_VERSION | len(parts)]) + b"".join(struct.pack(">I", len(part)) + part for part in parts)


def answer(content: Any) -> bytes:
    """The message by which a call is answered."""
    return frame(b"j:" + json.dumps(content).encode(), b"s:watchdog:1")


@contextlib.contextmanager
def answering(path: Path, records: Callable[[], Any]) -> Iterator[None]:
    """A socket on which whoever asks is told the records of a daemon's processes."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)
        threading.Thread(target=_serve, args=(server, records), daemon=True).start()
        yield
        # what waits in accept() would go on
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, records: Callable[[], Any]) -> None:
    while True:
        try:
            connection, _address = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            # one that only looks whether somebody listens asks nothing
            if connection.recv(65536):
                connection.sendall(answer({"args": [records()]}))
