# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Node.js toolchain under one directory: node, npm, npx, pnpm and pm2 at exact versions.

Layout: `<directory>/versions/<id>/` holds one whole toolchain, `<directory>/bin` is a link to `versions/<id>/bin`.
A new toolchain is made beside the old one and switched to by renaming the link, so an install that fails or is killed
leaves the old one working, and running processes keep the files they were started from.

Nothing that a registry brings is run as root: npm fills the directory, and each tool is started once, as a user that
owns nothing else. What a lock file has is refused where its digest differs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._host.archive import unpack
from .._host.atomic import point
from .._host.command import CommandError, Identity, clean_environment, is_program, proxies, run
from .._host.errors import StabilityError
from .._host.lock import lock
from .._host.service_tree import discard_path
from .._net.download import download, verify, without_secrets
from .foreign_code import end_processes, give, nobody_else, take_over
from .lock_file import locked

# --env-file, which keeps secrets out of process lists and PM2's dump, came with 20.6.
OLDEST_NODE = (20, 6)
DEBIAN_NODE = Path("/usr/bin/node")
# The npm that installs the first toolchain where corepack brings it: it runs on every Node.js that Debian has.
BOOTSTRAP_NPM = "npm@10.9.2"
_ARCHITECTURES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
_TOOLS = ("node", "npm", "npx", "pnpm", "pm2")


@dataclass(frozen=True)
class Desired:
    """What the toolchain must be. node_version counts for source npm only, archive* for source archive only."""

    source: str
    node_version: str
    npm_version: str
    pnpm_version: str
    pm2_version: str
    archive_checksum: str = ""
    lock: Mapping[str, Any] = field(default_factory=dict)
    """A lock file of npm's; counts for the packages that it has at these versions."""

    @property
    def identifier(self) -> str:
        """Directory name: readable, and another one whenever any part differs."""
        parts = {**asdict(self), "lock": self.locked()}
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        label = self.node_version if self.source == "npm" else self.source
        return f"node-{label}-{digest[:8]}"

    @property
    def node_package(self) -> str:
        """The registry's package with the official binary for this machine."""
        machine = platform.machine()
        if machine not in _ARCHITECTURES:
            raise StabilityError(
                f"The registry has no Node.js for {machine}; use nodejs_source archive or debian instead."
            )
        return f"node-{_ARCHITECTURES[machine]}"

    def packages(self) -> dict[str, str]:
        """Registry packages with their exact versions."""
        packages = {"npm": self.npm_version, "pnpm": self.pnpm_version, "pm2": self.pm2_version}
        if self.source == "npm":
            packages[self.node_package] = self.node_version
        return packages

    def locked(self) -> dict[str, Any]:
        """The lock file's entries that count. Raises StabilityError."""
        return locked(self.lock, self.packages())


@dataclass(frozen=True)
class Install:
    """How a toolchain is installed: mirror ("" for npm's own default), extra authorities, archive, seconds."""

    registry: str
    ca_file: str
    archive: str
    timeout: int
    used_in: str = ""
    """Where directories have links `bin`: what one leads to is in use, though nothing may run from it at the moment."""


class Toolchain:
    """The toolchains under one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        self.versions = directory / "versions"

    def active(self) -> str:
        """Identifier that bin points to, "" when there is none. Raises StabilityError where bin is no link."""
        try:
            target = self.bin.readlink()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StabilityError(f"{self.bin} is not a link of this toolchain; move it away") from error
        return target.parent.name if target.parts[:1] == ("versions",) and target.name == "bin" else ""

    def versions_of(self, identifier: str) -> dict[str, str]:
        """The registry packages that a toolchain on disk was made of; {} when there is none."""
        return dict(_manifest(self.versions / identifier).get("dependencies", {}))

    def current(self, desired: Desired) -> bool:
        """Whether the desired toolchain is the active one and whole."""
        return self.active() == desired.identifier and not self.defects(desired)

    def defects(self, desired: Desired) -> list[str]:
        """What is missing in, or differs from, the desired toolchain on disk."""
        root = self.versions / desired.identifier
        found = [f"bin/{tool} is no program" for tool in _TOOLS if not is_program(root / "bin" / tool)]
        own = root.resolve()
        leads = {tool: (root / "bin" / tool).resolve() for tool in _TOOLS}
        found += [
            f"bin/{tool} leads to {path}"
            for tool, path in leads.items()
            if not (path.is_relative_to(own) or path == DEBIAN_NODE.resolve())
        ]
        for name, version in desired.packages().items():
            installed = _manifest(root / "node_modules" / name).get("version", "")
            if installed != version:
                found.append(f"{name} is {installed or 'missing'}, not {version}")
        return found

    def installer(self) -> list[str | Path]:
        """Command that runs an npm on this host; [] when there is none yet."""
        own = self.bin / "npm"
        if is_program(own) and is_program(self.bin / "node"):
            return [own]
        if is_program("/usr/bin/corepack"):
            return ["/usr/bin/corepack", BOOTSTRAP_NPM]
        return ["/usr/bin/npm"] if is_program("/usr/bin/npm") else []

    def make(self, desired: Desired, install: Install) -> None:
        """Install the desired toolchain, check that it works, make it the active one, remove what nothing uses."""
        self.versions.mkdir(0o755, parents=True, exist_ok=True)
        busy = StabilityError(f"Another run is installing Node.js in {self.directory}; wait for it.")
        with lock(self.versions / ".lock", busy, seconds=install.timeout):
            previous = self.active()
            if self.defects(desired):
                self._build(desired, install)
            point(self.bin, Path("versions", desired.identifier, "bin"))
            self._prune({desired.identifier, previous, *_linked(install.used_in)})

    def _build(self, desired: Desired, install: Install) -> None:
        final = self.versions / desired.identifier
        stage = self.versions / f".{desired.identifier}.partial"
        discard_path(stage)
        stage.mkdir(0o755)
        try:
            with nobody_else(stage) as identity:
                self._fill(stage, desired, install, identity)
                _check(stage, desired, identity)
            if final.is_dir():
                # A damaged toolchain: moved aside, so that what runs from it keeps its files open.
                final.rename(tempfile.mkdtemp("", f"{desired.identifier}.damaged", self.versions))
            stage.rename(final)
        except StabilityError as error:
            raise StabilityError(_advice(str(error), install)) from error
        finally:
            with contextlib.suppress(OSError):
                discard_path(stage)

    def _fill(self, stage: Path, desired: Desired, install: Install, identity: Identity | None) -> None:
        installer = self.installer()
        if desired.source == "archive":
            installer = _unpack_node(stage, desired, install)
        if not installer:
            raise StabilityError("The host has no npm to install Node.js with: install Debian's node-corepack or npm.")
        _write_manifest(stage, desired, identity)
        try:
            give(stage, identity)
            _npm_install(stage, desired, installer, install, identity)
        finally:
            if identity:
                # from here on nobody has a file open that root takes for its own
                end_processes(identity)
        discard_path(stage / ".cache")
        take_over(stage)
        _link_tools(stage, desired)

    def _prune(self, kept: set[str]) -> None:
        """Remove toolchains that are neither kept nor run from by any process."""
        for path in self.versions.iterdir():
            if path.name not in {*kept, ".lock"} and not _in_use(path):
                with contextlib.suppress(OSError):
                    discard_path(path)


def _linked(directory: str) -> list[str]:
    """The toolchains that links `bin` in the directories there lead to."""
    links = Path(directory).glob("*/bin") if directory else ()
    return [link.readlink().parent.name for link in links if link.is_symlink()]


def debian_node_version(directory: Path) -> str:
    """Version of Debian's Node.js: the installed one, else the one apt would install, "" when apt knows none."""
    environment = clean_environment(directory, "/usr/bin", {})
    if DEBIAN_NODE.exists():
        return run([DEBIAN_NODE, "--version"], cwd="/", environment=environment, timeout=20).strip().lstrip("v")
    for line in run(["apt-cache", "policy", "nodejs"], cwd="/", environment=environment, timeout=60).splitlines():
        name, _colon, value = line.strip().partition(": ")
        if name == "Candidate" and value != "(none)":
            return value.split("~")[0].split("+")[0].split("-")[0]
    return ""


def require_new_enough(version: str, where: str) -> None:
    """Raise StabilityError for a Node.js that lacks --env-file."""
    parts = tuple(int(part) for part in version.split(".")[:2])
    if parts < OLDEST_NODE:
        oldest = ".".join(map(str, OLDEST_NODE))
        raise StabilityError(
            f"{where} is Node.js {version}, but {oldest} or newer is needed (--env-file); use nodejs_source npm."
        )


def _manifest(package: Path) -> dict[str, Any]:
    """package.json of a package on disk; {} where there is none that can be read."""
    try:
        found = json.loads((package / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _unpack_node(stage: Path, desired: Desired, install: Install) -> list[str | Path]:
    """Put the archive's Node.js into stage/node; it brings the npm that installs the rest."""
    archive = Path(install.archive)
    fetched = install.archive.startswith("https://")
    option, declared = "nodejs_archive_url", "nodejs_archive_checksum"
    name = f"{option} {without_secrets(install.archive)}" if fetched else option
    if fetched:
        archive = stage / "archive"
        checksum = desired.archive_checksum
        download(install.archive, archive, checksum, install.timeout, option=option, declared=declared)
    else:
        verify(archive, desired.archive_checksum, name, declared)
    target = stage / "node"
    target.mkdir(0o755)
    unpack(archive, target, name)
    if fetched:
        archive.unlink()
    for needed in ("bin/node", "bin/npm"):
        if not is_program(target / needed):
            raise StabilityError(f"{name} holds no {needed}: it is no Node.js for this machine.")
    return [target / "bin/npm"]


def _write_manifest(stage: Path, desired: Desired, identity: Identity | None) -> None:
    """package.json, and as much of a lock file as there is: what that has npm takes by its digest or not at all."""
    dependencies, entries = desired.packages(), desired.locked()
    files = {"package.json": {"private": True, "dependencies": dependencies}}
    if entries:
        packages = {"": {"dependencies": dependencies}, **entries}
        files["package-lock.json"] = {"lockfileVersion": 3, "requires": True, "packages": packages}
    for name, content in files.items():
        (stage / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
        # npm adds to both what it finds
        give(stage / name, identity)


def _npm_install(
    stage: Path, desired: Desired, installer: list[str | Path], install: Install, identity: Identity | None
) -> None:
    cache = stage / ".cache"
    cache.mkdir(0o700)
    give(cache, identity)
    extra = {
        "COREPACK_NPM_REGISTRY": install.registry,
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "COREPACK_HOME": str(cache / "corepack"),
        "NODE_EXTRA_CA_CERTS": install.ca_file,
        "npm_config_cache": str(cache),
        "npm_config_fetch_retries": "2",
        "npm_config_fetch_timeout": "30000",
        "npm_config_registry": install.registry,
        "npm_config_update_notifier": "false",
    } | proxies(os.environ)
    locked_packages = desired.locked()
    whole = all(f"node_modules/{name}" in locked_packages for name in desired.packages())
    command = "ci" if whole else "install"
    # No package's install script is needed: the binaries are whole packages.
    options = [command, "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund", "--loglevel=error"]
    environment = clean_environment(cache, Path(installer[0]).parent, extra)
    try:
        run([*installer, *options], cwd=stage, environment=environment, timeout=install.timeout, identity=identity)
    except CommandError as error:
        raise error.advised("nodejs_install_timeout", install.timeout) from error


def _link_tools(stage: Path, desired: Desired) -> None:
    native_pnpm = f"../node_modules/@pnpm/exe.{_ARCHITECTURES.get(platform.machine(), 'none')}/pnpm"
    directory = stage / "bin"
    directory.mkdir(0o755)
    node = {"debian": str(DEBIAN_NODE), "archive": "../node/bin/node"}.get(desired.source)
    links = {
        "node": node or f"../node_modules/{desired.node_package}/bin/node",
        "npm": "../node_modules/npm/bin/npm-cli.js",
        "npx": "../node_modules/npm/bin/npx-cli.js",
        # pnpm 12 is a native program in a package of its own; an older one is a script.
        "pnpm": native_pnpm,
        "pm2": "../node_modules/pm2/bin/pm2",
    }
    if not (directory / native_pnpm).exists():
        links["pnpm"] = "../node_modules/pnpm/bin/pnpm.cjs"
    for name, target in links.items():
        (directory / name).symlink_to(target)
        program = (directory / name).resolve()
        if not program.exists():
            raise StabilityError(f"The installed packages hold no {name} ({target}); is its version right?")
        if program.is_relative_to(stage):
            program.chmod(0o755)


def _check(stage: Path, desired: Desired, identity: Identity | None) -> None:
    """Start each tool once: a toolchain that can't run on this host never becomes the active one."""
    directory = stage / "bin"
    home = stage / ".home"
    home.mkdir(0o700)
    give(home, identity)
    environment = clean_environment(home, directory, {"PM2_HOME": str(home), "npm_config_update_notifier": "false"})
    commands: dict[str, list[str | Path]] = {tool: [directory / tool, "--version"] for tool in ("node", "npm", "pnpm")}
    # `pm2 --version` may start a daemon; loading it as a module proves as much.
    pm2 = json.dumps(str(stage / "node_modules" / "pm2"))
    load = f"require({pm2}); require({pm2} + '/package.json').version"
    commands["pm2"] = [directory / "node", "--print", load]
    versions = {
        tool: run(command, cwd=home, environment=environment, timeout=60, identity=identity)
        for tool, command in commands.items()
    }
    discard_path(home)
    require_new_enough(versions["node"].strip().lstrip("v"), "What was installed")
    for tool in ("npm", "pnpm", "pm2"):
        expected = desired.packages()[tool]
        if expected not in versions[tool]:
            raise StabilityError(f"{tool} {expected} was installed, but says it is {versions[tool].strip()!r}.")


def _advice(message: str, install: Install) -> str:
    if "CERT" in message and not install.ca_file:
        return f"{message}\nA proxy with its own certificate authority? Set service_ca_file."
    if "ETARGET" in message or "No matching version" in message:
        return f"{message}\nThe registry has no such version: check nodejs_*_version."
    if "EINTEGRITY" in message:
        return (
            f"{message}\nA package of the registry's has another digest than nodejs_lock_file says. Nothing was"
            " installed. Find out who changed it; make a lock file of your own only when you know."
        )
    return message


def _in_use(path: Path) -> bool:
    """Whether a process runs from path. One that root may not look at (in some containers) could, so it counts."""
    for program in Path("/proc").glob("[0-9]*/exe"):
        try:
            if program.readlink().is_relative_to(path):
                return True
        except PermissionError:
            return True
        except OSError:
            # It has ended, or is a thread of the kernel.
            continue
    return False
