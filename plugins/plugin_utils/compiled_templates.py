# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Jinja makes of the collection's templates, kept for the other hosts of a run and for the runs that follow.

Ansible compiles a template each time that it renders it, in each task's process: for a comparison that is a thousand
templates and two fifths of its processor time. What a template is compiled to depends on its text, on how its filters
and tests are called, on versions and settings, and on no value.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import marshal
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from ansible import constants
from ansible.release import __version__ as ansible_version
from jinja2.nodes import Filter, Test

from ..module_utils._host.atomic import save
from ..module_utils._host.small_file import read_small
from ._ansible import ENVIRONMENT, compiling, origin_of, was_encrypted

# As Ansible names the files of roles, and where the collection is a link. A checkout has inventories besides.
_ROLES = Path(__file__).parents[2] / "roles"
_ROOTS = tuple({f"{_ROLES}/", f"{_ROLES.resolve()}/"})
_FILE = "workbot_stability_templates"
# All templates of the collection are half of it: what no version of it has any more does not pile up.
_MOST = 5000
# Bytes; so many templates are a quarter of it.
_LARGEST = 32 * 1024**2
# Whether this is inside an action that does so already: a comparison runs others, in threads.
_ACTIVE = ContextVar("_ACTIVE", default=False)
# Of this expression the tree is compiled, which does not tell its text.
_EXPRESSION = ContextVar("_EXPRESSION", default="")

# Code as marshal writes it, and how each filter and test in it is called: kind, name, what it is passed.
_Entry = tuple[bytes, tuple[tuple[str, str, str], ...]]


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """Within this, in this process, a template is compiled once, and one of the collection's not even that if an
    earlier run has done so. Those of an inventory are never written to a file: there may be a password in them.
    """
    if ENVIRONMENT is None or _ACTIVE.get():
        yield
        return
    kept = _Kept(Path(constants.config.get_config_value("ANSIBLE_HOME")) / _FILE)
    compiled, compiled_expression = ENVIRONMENT.compile, ENVIRONMENT.compile_expression

    def once(environment: Any, source: Any, *given: Any, **named: Any) -> Any:
        text = source if isinstance(source, str) else _EXPRESSION.get()
        # a name, and delimiters of its own, would be part of what it is compiled to
        if not text or given or named or environment.overlayed:
            return compiled(environment, source, *given, **named)
        key = _key(environment, text, source is not text)
        code = kept.code(key, environment)
        if code is None:
            code = compiled(environment, source)
            plugins = _plugins(environment, source) if _is_the_collections(text) else None
            kept.add(key, code, plugins, environment)
        return code

    def expression_once(environment: Any, source: str, *given: Any, **named: Any) -> Any:
        before = _EXPRESSION.set(source)
        try:
            return compiled_expression(environment, source, *given, **named)
        finally:
            _EXPRESSION.reset(before)

    active = _ACTIVE.set(True)
    ENVIRONMENT.compile, ENVIRONMENT.compile_expression = once, expression_once
    try:
        yield
    finally:
        _ACTIVE.reset(active)
        ENVIRONMENT.compile, ENVIRONMENT.compile_expression = compiled, compiled_expression
        kept.write()


def _key(environment: Any, source: str, is_expression: bool) -> bytes:
    made_of = (source, is_expression, compiling(), sorted(environment.extensions))
    return hashlib.sha256(repr(made_of).encode()).digest()


def _is_the_collections(source: str) -> bool:
    origin = origin_of(source)
    is_in_a_role = bool(origin and origin.path and origin.path.startswith(_ROOTS))
    return is_in_a_role and not was_encrypted(source)


def _plugins(environment: Any, source: Any) -> set[tuple[str, str]]:
    """The filters and tests of a template, by their kind and name."""
    tree = environment.parse(source) if isinstance(source, str) else source
    return {("filters" if isinstance(node, Filter) else "tests", node.name) for node in tree.find_all((Filter, Test))}


class _Kept:
    """Code by the digest of what it was made of. The file is the user's own, or it is not read: code is run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._codes: dict[bytes, CodeType] = {}
        self._added: dict[bytes, _Entry] = {}
        self._passed: dict[tuple[str, str], str] = {}

    @functools.cached_property
    def _read(self) -> dict[bytes, _Entry]:
        return self._content()

    def code(self, key: bytes, environment: Any) -> CodeType | None:
        if key in self._read and key not in self._codes:
            code, plugins = self._read[key]
            # a project may have a filter of the same name that is called in another way
            if all(self._passed_to(environment, kind, name) == passed for kind, name, passed in plugins):
                self._codes[key] = marshal.loads(code)
        return self._codes.get(key)

    def add(self, key: bytes, code: CodeType, plugins: set[tuple[str, str]] | None, environment: Any) -> None:
        """Keep the code for this process; where its filters and tests are given, for others as well."""
        self._codes[key] = code
        if plugins is not None:
            called = tuple((kind, name, self._passed_to(environment, kind, name)) for kind, name in sorted(plugins))
            self._added[key] = marshal.dumps(code), called

    def _passed_to(self, environment: Any, kind: str, name: str) -> str:
        """What Jinja passes this filter or test before its arguments: the environment, the context or nothing."""
        if (kind, name) not in self._passed:
            plugin = getattr(environment, kind).get(name)
            self._passed[kind, name] = str(getattr(plugin, "jinja_pass_arg", None))
        return self._passed[kind, name]

    def write(self) -> None:
        """Add what is new. Where that can't be written, the next run compiles it as this one did."""
        if not self._added:
            return
        # of a run for another host, too, that has written in the meantime
        known = {**self._content(), **self._added}
        content = marshal.dumps(known if len(known) <= _MOST else self._added)
        with contextlib.suppress(OSError):
            save(self._path, _head(content) + content)

    def _content(self) -> dict[bytes, _Entry]:
        """What the file has; nothing of one that is another user's, another version's, or damaged."""
        try:
            whole, status = read_small(self._path, _LARGEST)
        except OSError:
            return {}
        head, content = whole[:32], whole[32:]
        if status.st_uid != os.geteuid() or status.st_mode & 0o022 or head != _head(content):
            return {}
        known: dict[bytes, _Entry] = marshal.loads(content)
        return known


def _head(content: bytes) -> bytes:
    """The digest of the content, and of what has made it."""
    made_by = f"{sys.version} {jinja2.__version__} {ansible_version}".encode() + Path(__file__).read_bytes()
    return hashlib.sha256(made_by + content).digest()
