# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes one executable file of a Python module and the neighbours it imports: same sources, same bytes.

The archive is stored, not deflated: what zlib makes of it differs between versions, and would be a "change".
"""

from __future__ import annotations

import ast
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

# -I keeps the caller's directory and PYTHON variables out, since root may run the command anywhere.
INTERPRETER = "/usr/bin/python3 -I"
_PACKAGE = "stability"
_ENTRY_POINT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):([A-Za-z_][A-Za-z0-9_]*)")
# The oldest time that a zip archive can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16


class ZipappError(Exception):
    """The archive can't be made; the message says why."""


def build(directory: Path, entry_point: str, arguments: Mapping[str, str], interpreter: str) -> bytes:
    """Return an executable that calls `entry_point` (module:function) with `arguments`. Raises ZipappError."""
    match = _ENTRY_POINT.fullmatch(entry_point)
    if not match:
        raise ZipappError(f"entry_point {entry_point!r} is not of the form module:function")
    if not interpreter.startswith("/") or "\n" in interpreter:
        raise ZipappError(f"interpreter {interpreter!r} is not an absolute path, with options where needed")
    module, function = match.groups()
    files = {f"{_PACKAGE}/{name}.py": source for name, source in _closure(directory, module).items()}
    files[f"{_PACKAGE}/__init__.py"] = b""
    call = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    files["__main__.py"] = f"from {_PACKAGE}.{module} import {function}\n\n{function}({call})\n".encode()
    return f"#!{interpreter}\n".encode() + _archive(files)


def _closure(directory: Path, module: str) -> dict[str, bytes]:
    """The module and all that it and its neighbours import from beside them."""
    sources: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        try:
            sources[name] = (directory / f"{name}.py").read_bytes()
        except OSError as error:
            raise ZipappError(f"{directory / name}.py: {error.strerror}") from error
        waiting += _neighbours(sources[name])
    return sources


def _neighbours(source: bytes) -> list[str]:
    """The modules of the same package that a source imports: `from ._x import y` and `from . import _x`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    return names


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, on whichever controller it is built
            entry.external_attr = _REGULAR_FILE
            archive.writestr(entry, files[name])
    return buffer.getvalue()
