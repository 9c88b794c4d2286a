# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes one executable file of a Python module and what it imports from its tree: same sources, same bytes.

The archive is stored, not deflated: what zlib makes of it differs between versions, and would be a "change".
"""

from __future__ import annotations

import functools
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ..module_utils._host.errors import StabilityError

# -I keeps the caller's directory and PYTHON variables out, since root may run the command anywhere.
INTERPRETER = "/usr/bin/python3 -I"
_PACKAGE = Path("stability")
_ENTRY_POINT = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*):([A-Za-z_][A-Za-z0-9_]*)")
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import (?:\(([^)]*)\)|(.+?)) *$", re.MULTILINE)
_COMMENT = re.compile(r"#.*")
# What stands before `as` and a comma.
_IMPORTED = re.compile(r"(?:^|,)\s*(\w+)")
# The oldest time that a zip archive can hold.
_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16


def build(directory: Path, entry_point: str, arguments: Mapping[str, str], interpreter: str) -> bytes:
    """Return an executable that calls `entry_point` (module:function) with `arguments`. Raises StabilityError."""
    match = _ENTRY_POINT.fullmatch(entry_point)
    if not match:
        raise StabilityError(f"entry_point {entry_point!r} is not of the form module:function")
    if not interpreter.startswith("/") or "\n" in interpreter:
        raise StabilityError(f"interpreter {interpreter!r} is not an absolute path, with options where needed")
    module, function = match.groups()
    sources = _closure(directory, module)
    packages = {parent for name in sources for parent in Path(name).parents}
    files = {f"{_PACKAGE}/{name}": source for name, source in sources.items()}
    files |= {str(_PACKAGE / parent / "__init__.py"): b"" for parent in packages}
    call = ", ".join(f"{name}={value!r}" for name, value in sorted(arguments.items()))
    files["__main__.py"] = f"from {_PACKAGE}.{module} import {function}\n\n{function}({call})\n".encode()
    return f"#!{interpreter}\n".encode() + archive(files)


def _closure(directory: Path, module: str) -> dict[str, bytes]:
    """The module and all that it imports, at any remove, from the same directory: path and source of each."""
    sources: dict[str, bytes] = {}
    waiting = [module.replace(".", "/") + ".py"]
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        try:
            sources[name] = (directory / name).read_bytes()
        except OSError as error:
            raise StabilityError(f"{directory / name}: {error.strerror}") from error
        waiting += _imported(directory, name, sources[name])
    return sources


# Programs have many sources in common. Python's own parser takes ten times as long, and each task's process needs it.
@functools.cache
def _imported(directory: Path, name: str, source: bytes) -> tuple[str, ...]:
    """The files that a source imports from its own tree, at its beginning: `from .x import y`, `from .._a import x`."""
    found: list[str] = []
    for dots, module, several, one in _IMPORT.findall(_COMMENT.sub("", source.decode())):
        start = Path(name).parents[len(dots) - 1] / module.replace(".", "/")
        if (directory / start).is_dir():
            found += [str(start / f"{imported}.py") for imported in _IMPORTED.findall(several or one)]
        else:
            found.append(f"{start}.py")
    return tuple(found)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, on whichever controller it is built
            entry.external_attr = _REGULAR_FILE
            packed.writestr(entry, files[name])
    return buffer.getvalue()
