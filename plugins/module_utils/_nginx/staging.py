# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests an nginx configuration in a copy, so that the one in use is not touched before the new one is known to be good.

`nginx -t -c` resolves relative includes from the directory of the file it is given, so these stay within the copy by
themselves. Absolute paths below the configuration directory are rewritten in the copy, line for line: line numbers in
nginx's messages stay right. Log files and the pid file, which `nginx -t` would create, are rewritten too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._host.command import quiet_run
from .._host.errors import StabilityError
from .._host.files import Change, Entry, put
from .._net.certificate import Certificate, check_certificate

# Bigger files are data (databases of addresses and the like): nginx includes none of that size.
REWRITE_LIMIT = 1024 * 1024
CONFLICT = re.compile(r'conflicting server name "(?P<name>[^"]*)" on (?P<address>\S+), ignored')
PLACE = re.compile(r" in (?P<path>/\S+):(?P<line>\d+)\s*$", re.MULTILINE)
COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
ZONE = re.compile(r"^\s*limit_(?:req|conn)_zone\s[^;]*?\szone=(?P<name>[^:;\s]+):", re.MULTILINE)
AROUND = 3
PREFIX_END = rb"(?=[/;\s\"'{}]|$)"


@dataclass(frozen=True)
class Layout:
    """Where nginx's parts are; the defaults are Debian's."""

    config: Path = Path("/etc/nginx")
    logs: Path = Path("/var/log/nginx")
    pid: Path = Path("/run/nginx.pid")
    binary: Path = Path("/usr/sbin/nginx")
    scratch: Path = Path("/run/nginx_site")
    state: Path = Path("/var/lib/nginx_site")
    lock: Path = Path("/run/nginx_site.lock")
    closing: Path = Path("/run/nginx_closing")
    """While this file is there, sites may tell their clients that connections are about to be closed."""

    @property
    def journal(self) -> Path:
        """No record of a site has this name: they do not begin with a dot."""
        return self.state / ".journal.json"

    def find(self, path: str) -> Path:
        """A path that may be relative to the configuration directory."""
        return self.config / path

    def text_of(self, path: str) -> str:
        """The text of such a path, empty where there is none."""
        try:
            return self.find(path).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""


@dataclass(frozen=True)
class Verdict:
    """What nginx said about a configuration, in the paths of the real one."""

    good: bool
    messages: str
    included: frozenset[str]
    zones: frozenset[str] = frozenset()

    def conflicts(self) -> set[tuple[str, str]]:
        """Server names (with their address) that nginx ignores, because another file has them already."""
        return {(match["name"], match["address"]) for match in CONFLICT.finditer(self.messages)}


class Rewriter:
    """Replaces path prefixes in the text of a configuration."""

    def __init__(self, prefixes: dict[Path, Path]) -> None:
        self.prefixes = {os.fsencode(old): os.fsencode(new) for old, new in prefixes.items()}
        alternatives = b"|".join(re.escape(old) for old in self.prefixes)
        # No match inside a longer path: neither /srv/etc/nginx nor /etc/nginx-old.
        self.pattern = re.compile(rb"(?<![\w./-])(" + alternatives + rb")" + PREFIX_END, re.MULTILINE)

    def rewrite(self, text: bytes) -> bytes:
        return self.pattern.sub(lambda match: self.prefixes[match[1]], text)


class Staging:
    """A copy of the host's configuration with the changes put in."""

    def __init__(self, layout: Layout, directory: Path) -> None:
        self.layout = layout
        self.config = directory / "config"
        self.logs = directory / "logs"
        self.rewriter = Rewriter(
            {layout.config: self.config, layout.logs: self.logs, layout.pid: directory / "nginx.pid"}
        )

    def build(self, changes: Sequence[Change]) -> None:
        self._copy_configuration()
        self._copy_log_directories()
        for change in changes:
            path = self.config / change.path
            path.parent.mkdir(parents=True, exist_ok=True)
            put(str(path), self._staged(change.after) if change.after else None)

    def test(self) -> Verdict:
        result = run([str(self.layout.binary), "-T", "-c", str(self.config / "nginx.conf")])
        included = re.findall(r"^# configuration file (.+):$", result.stdout, re.MULTILINE)
        return Verdict(
            good=result.returncode == 0,
            messages=self._real_paths(result.stderr),
            included=frozenset(self._real_paths(path) for path in included),
            zones=limit_zones(result.stdout),
        )

    def find(self, path: str) -> Path:
        """Where in the copy the file is that the configuration would find under this path."""
        absolute = self.layout.find(path)
        if absolute.is_relative_to(self.layout.config):
            return self.config / absolute.relative_to(self.layout.config)
        return absolute

    def _real_paths(self, text: str) -> str:
        """nginx's words about the copy as words about the real files."""
        return text.replace(str(self.config), str(self.layout.config)).replace(str(self.logs), str(self.layout.logs))

    def _staged(self, entry: Entry) -> Entry:
        if entry.target is not None:
            return Entry(target=os.fsdecode(self.rewriter.rewrite(os.fsencode(entry.target))))
        return Entry(content=self.rewriter.rewrite(entry.data), mode=entry.mode)

    def _copy_configuration(self) -> None:
        for directory, directories, files in os.walk(self.layout.config):
            copy = self.config / Path(directory).relative_to(self.layout.config)
            copy.mkdir(parents=True)
            for name in [*directories, *files]:
                self._copy(Path(directory) / name, copy / name)

    def _copy(self, source: Path, copy: Path) -> None:
        if source.is_symlink():
            copy.symlink_to(os.fsdecode(self.rewriter.rewrite(os.fsencode(source.readlink()))))
        elif source.is_file() and source.stat().st_size > REWRITE_LIMIT:
            copy.symlink_to(source)
        elif source.is_file():
            copy.write_bytes(self.rewriter.rewrite(source.read_bytes()))

    def _copy_log_directories(self) -> None:
        """The directories only: one that is missing must stay an error."""
        self.logs.mkdir()
        for directory, _directories, _files in os.walk(self.layout.logs):
            (self.logs / Path(directory).relative_to(self.layout.logs)).mkdir(exist_ok=True)


@contextmanager
def staging(layout: Layout, changes: Sequence[Change]) -> Iterator[Staging]:
    """A staging copy that is gone afterwards. Only root can look into it: configurations may hold keys."""
    try:
        # What is there is of a run that was killed: only one at a time gets here.
        shutil.rmtree(layout.scratch, ignore_errors=True)
        layout.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = Staging(layout, Path(tempfile.mkdtemp(dir=layout.scratch)))
        copy.build(changes)
        yield copy
    except OSError as error:
        raise StabilityError(
            f"Cannot make a copy of {layout.config} to test in, below {layout.scratch}: {error.strerror or error}. "
            "Nothing was changed."
        ) from error
    finally:
        shutil.rmtree(layout.scratch, ignore_errors=True)


def run(command: list[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program with the C locale; StabilityError if it cannot be run or does not end in time."""
    try:
        return quiet_run(command, timeout, {**os.environ, "LC_ALL": "C"})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StabilityError(f"Cannot run {' '.join(command)}: {error}") from error


def limit_zones(configuration: str) -> frozenset[str]:
    """The zones that count requests or connections, from what `nginx -T` prints."""
    return frozenset(match["name"] for match in ZONE.finditer(COMMENT.sub("", configuration)))


def check_changes(
    layout: Layout,
    changes: Sequence[Change],
    certificates: Sequence[Certificate] = (),
    zones: Sequence[str] = (),
) -> None:
    """Tests the configuration as it would be; StabilityError says what is wrong with it, and whose fault that is."""
    with staging(layout, changes) as copy:
        for certificate in certificates:
            _check_certificate(copy, certificate)
        verdict = copy.test()
    if not verdict.good:
        _refuse_broken(layout, changes, verdict)
    if verdict.conflicts():
        _refuse_conflicts(layout, verdict)
    _refuse_ignored(layout, changes, verdict)
    refuse_missing_zones(zones, verdict.zones)


def refuse_missing_zones(desired: Sequence[str], found: frozenset[str]) -> None:
    missing = [name for name in desired if name not in found]
    if missing:
        raise StabilityError(
            f"limit_zones: the configuration has no limit_req_zone or limit_conn_zone named {', '.join(missing)}. "
            f"It has {', '.join(sorted(found)) or 'none'}."
        )


def _check_certificate(copy: Staging, certificate: Certificate) -> None:
    try:
        check_certificate(certificate, copy.find(certificate.certificate), copy.find(certificate.key))
    except StabilityError as error:
        raise StabilityError(f"certificates: {error} Nothing was changed.") from error


def _present_verdict(layout: Layout) -> Verdict:
    with staging(layout, []) as copy:
        return copy.test()


def _refuse_broken(layout: Layout, changes: Sequence[Change], verdict: Verdict) -> None:
    present = _present_verdict(layout)
    if not present.good:
        raise StabilityError(
            "The nginx configuration of this host was broken before this run, by someone else; nothing was changed. "
            f"nginx says:\n{explain(present.messages, _reader(layout, []))}"
        )
    raise StabilityError(
        "nginx refuses the new configuration; nothing was changed, the old one goes on serving. "
        f"nginx says:\n{explain(verdict.messages, _reader(layout, changes))}"
    )


def _refuse_conflicts(layout: Layout, verdict: Verdict) -> None:
    fresh = verdict.conflicts() - _present_verdict(layout).conflicts()
    if fresh:
        names = ", ".join(f'"{name}" on {address}' for name, address in sorted(fresh))
        raise StabilityError(
            f"Another file of this host serves the same server name already: {names}. nginx would ignore one of the "
            "two; give the sites different names or ports. Nothing was changed."
        )


def _refuse_ignored(layout: Layout, changes: Sequence[Change], verdict: Verdict) -> None:
    paths = [str(layout.config / change.path) for change in changes if change.after and change.path.endswith(".conf")]
    ignored = [path for path in paths if path not in verdict.included]
    if ignored:
        raise StabilityError(
            f"{layout.config / 'nginx.conf'} does not include {', '.join(ignored)}: the change would have no effect. "
            "Debian's file includes modules-enabled/*.conf, conf.d/*.conf and sites-enabled/*. Nothing was changed."
        )


def _reader(layout: Layout, changes: Sequence[Change]) -> Callable[[str], str | None]:
    """Finds the text of a file as nginx has just seen it."""
    fresh = {str(layout.config / change.path): change.after.text() for change in changes if change.after}
    secret = {str(layout.config / change.path) for change in changes if change.secret}

    def read(path: str) -> str | None:
        if path in secret:
            return None
        if path in fresh:
            return fresh[path]
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    return read


def explain(messages: str, read: Callable[[str], str | None]) -> str:
    """nginx's complaints, with the lines of the file that each one is about."""
    lines = [line for line in messages.splitlines() if re.search(r"\[(emerg|alert|crit|error)\]", line)]
    # Without a level it is no nginx message (a missing library, for one): show all there is.
    parts = lines or messages.splitlines()
    for line in lines:
        place = PLACE.search(line)
        text = read(place["path"]) if place else None
        if place and text is not None:
            parts = [*parts, excerpt(text, int(place["line"]))]
    return "\n".join(parts)


def excerpt(text: str, number: int) -> str:
    """The lines around a line, numbered, the line itself marked."""
    lines = text.splitlines()
    first, last = max(1, number - AROUND), min(len(lines), number + AROUND)
    return "\n".join(f"{'>' if n == number else ' '} {n:4d} | {lines[n - 1]}" for n in range(first, last + 1))
