# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a release with the package manager of its lock file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._host.command import CommandError, Identity, Scopes, clean_environment, effective_user, proxies, run
from .._host.errors import StabilityError
from .._nodejs.package import manifest, other_manager
from .._service.dotenv import read
from .._service.secret_values import hide, texts_to_hide

# A release that lacks this script needs no building; any other script must be there when it is asked for.
DEFAULT_SCRIPT = "build"
# npm, from 7 on, on a lock file that it can't install by: the reason, and then two pages about itself.
_NPM_PREFIX = re.compile(r"^npm (?:error|ERR!) ?", re.MULTILINE)
_NPM_REFUSAL = re.compile(r"code EUSAGE\s+(.+?)\s+Clean install a project", re.DOTALL)
_REFUSAL_LINES = 20
# Those of the release itself that npm ci and pnpm install run.
_INSTALL_SCRIPTS = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_SOURCES = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How releases are built, by the module's options of these names."""

    bin: str
    build: bool = True
    build_script: str = DEFAULT_SCRIPT
    build_timeout: int = 900
    """Seconds, for all steps together."""
    build_environment: Mapping[str, Any] = field(default_factory=dict)
    build_heap_limit_mb: int = 0
    """0 is Node's own."""
    registry: str = ""
    ca_file: str = ""
    before_build: Sequence[Sequence[Any]] = ()
    after_build: Sequence[Sequence[Any]] = ()
    """Commands around the build; they alone find the service's own environment, that of the file."""
    environment_file: str | None = None

    def variables(self) -> dict[str, str]:
        """Environment of the build beyond HOME and PATH; a variable that the user sets wins."""
        variables = {
            "CI": "true",
            "NODE_ENV": "production",
            "NODE_EXTRA_CA_CERTS": self.ca_file,
            "NODE_OPTIONS": f"--max-old-space-size={self.build_heap_limit_mb}" if self.build_heap_limit_mb else "",
            "npm_config_audit": "false",
            "npm_config_fetch_retries": "2",
            "npm_config_fund": "false",
            "npm_config_registry": self.registry,
            "npm_config_update_notifier": "false",
            # pnpm 11 and newer read their own prefix only.
            "pnpm_config_registry": self.registry,
        }
        return variables | proxies(os.environ) | {name: str(value) for name, value in self.build_environment.items()}


def package_manager(directory: Path) -> str:
    """`pnpm` or `npm`, as the lock file says. Raises StabilityError when there is none."""
    for lock_file, manager in (("pnpm-lock.yaml", "pnpm"), ("package-lock.json", "npm")):
        if (directory / lock_file).is_file():
            return manager
    raise StabilityError(
        "The release has neither pnpm-lock.yaml nor package-lock.json, so its dependencies are not pinned. "
        "Commit a lock file, or set release_build to false for a prebuilt release."
    )


def require_program(directory: Path, program: str, identity: Identity, settings: BuildSettings) -> None:
    """Raise StabilityError where the program, "" for any, is not in the source, and no build makes it."""
    with effective_user(identity):
        if not program or (directory / program).exists():
            return
        workspace = (directory / "pnpm-workspace.yaml").exists()
    if _may_be_made(program, {"workspaces": workspace, **(manifest(directory, identity) or {})}, settings):
        return
    with effective_user(identity):
        folder = (directory / program).parent
        names = sorted(path.name for path in folder.iterdir() if path.suffix in _SOURCES) if folder.is_dir() else []
    found = f"there are {', '.join(names[:_SHOWN])}" if names else "there is no program"
    where = f"{Path(program).parent}/" if "/" in program else "its top"
    raise StabilityError(
        f"The release has no program {program} (pm2_script), and no build makes it: in {where} {found}."
        " Nothing was built."
    )


def _may_be_made(program: str, package: Mapping[str, Any], settings: BuildSettings) -> bool:
    """Whether an installed package brings it, or a script may write it, which no one does in TypeScript."""
    if program.startswith("node_modules/") and settings.build:
        return True
    scripts = package.get("scripts")
    names = {settings.build_script, *_INSTALL_SCRIPTS} & set(scripts if isinstance(scripts, dict) else ())
    # each package of a workspace has scripts of its own
    makes = bool(names or package.get("workspaces") or settings.before_build or settings.after_build)
    return settings.build and makes and not re.search(r"\.[cm]?ts$", program)


def steps(manager: str, builds: bool) -> list[list[str]]:
    """Commands of a build, in order.

    NODE_ENV is production throughout, so what a build script needs from devDependencies is asked for by name and
    removed afterwards. pnpm copies packages: its hard links would share files between releases and with its store.
    """
    if manager == "pnpm":
        install = ["pnpm", "install", "--frozen-lockfile", "--package-import-method=copy"]
        if not builds:
            return [[*install, "--prod"]]
        return [
            [*install, "--prod=false"],
            ["pnpm", "run"],
            [*install, "--prod", "--offline", "--ignore-scripts"],
        ]
    if not builds:
        return [["npm", "ci", "--omit=dev"]]
    return [["npm", "ci", "--include=dev"], ["npm", "run"], ["npm", "prune", "--omit=dev", "--ignore-scripts"]]


def build(directory: Path, identity: Identity, settings: BuildSettings, scopes: Scopes | None = None) -> str:
    """Build the release in directory as that user, within scopes of systemd; the name of the package manager.

    Each command ends with all that it has started, at the latest when the run does.

    Raises StabilityError, of which CommandError is one, and OSError where the environment file can't be read.
    """
    manager = package_manager(directory)
    builds = _has_script(directory, settings.build_script, identity)
    bin_directory = Path(settings.bin)
    deadline = time.monotonic() + settings.build_timeout

    def step(argv: Sequence[str | Path], more: Mapping[str, str]) -> None:
        variables = settings.variables() | dict(more)
        try:
            run(
                argv,
                cwd=directory,
                environment=clean_environment(identity.home, bin_directory, variables),
                timeout=max(1, int(deadline - time.monotonic())),
                identity=identity,
                scopes=scopes,
                attended=True,
            )
        except CommandError as error:
            memory = ", or keep the build below it with release_build_heap_limit"
            raise error.advised("release_build_timeout", settings.build_timeout, memory) from error

    service = read(settings.environment_file or "")
    _hooks("before_build", settings.before_build, step, service)
    commands = steps(manager, builds)
    for command in commands:
        arguments = [*command[1:], settings.build_script] if command[1:] == ["run"] else command[1:]
        try:
            step([bin_directory / command[0], *arguments], {})
        except CommandError as error:
            if reason := refused_lock_file(error.output):
                raise StabilityError(reason) from error
            if command is commands[0] and (reason := other_manager(directory, bin_directory, manager, identity)):
                raise CommandError(f"{error}\n{reason}", error.output, error.status) from error
            raise
    _hooks("after_build", settings.after_build, step, service)
    return manager


def refused_lock_file(output: str) -> str:
    """What to say where npm wrote that it can't install by the lock file; "" where it wrote anything else."""
    found = _NPM_REFUSAL.search(_NPM_PREFIX.sub("", output))
    if not found:
        return ""
    lines = [line for line in found[1].splitlines() if line]
    more = [f"... and {len(lines) - _REFUSAL_LINES} more"] if len(lines) > _REFUSAL_LINES else []
    advice = "Run npm install where the source is, and commit package-lock.json."
    return "\n".join(["npm ci refuses package-lock.json:", *lines[:_REFUSAL_LINES], *more, advice])


def _hooks(
    title: str,
    commands: Sequence[Sequence[Any]],
    step: Callable[[Sequence[str], Mapping[str, str]], None],
    service: Mapping[str, str],
) -> None:
    """Run the user's commands; what they wrote is shown when one fails, but nothing of the service's environment."""
    for command in commands:
        try:
            # YAML makes numbers and booleans of some words
            step([str(word) for word in command], service)
        except CommandError as error:
            raise CommandError(f"{title}: {hide(str(error), texts_to_hide(service))}") from None


def _has_script(directory: Path, script: str, identity: Identity) -> bool:
    package = manifest(directory, identity)
    if package is None:
        raise StabilityError("The release has no package.json at its top.")
    scripts = package.get("scripts")
    known = sorted(scripts) if isinstance(scripts, dict) else []
    if script and script not in known and script != DEFAULT_SCRIPT:
        raise StabilityError(f"package.json has no script {script!r}; it has: {', '.join(known) or 'none'}.")
    return bool(script) and script in known
