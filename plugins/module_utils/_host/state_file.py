# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small file, mostly of JSON, that one program keeps between its runs or tells others by: it is replaced whole."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def save_json(path: Path, content: Any, mode: int = 0o600) -> None:
    """Write the content as JSON, as `save` does. Raises OSError."""
    save(path, json.dumps(content).encode(), mode)


def save(path: Path, content: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write the content, atomically, for the owner (user and group id), where one is given.

    Raises OSError; then what was there still is. Mode and owner are set before the file has its name: in a directory of
    somebody else, that name may be another file's soon.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            file.write(content)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
