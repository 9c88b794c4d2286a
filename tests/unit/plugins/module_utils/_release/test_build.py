# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._host.command import CommandError, Identity
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._release.build import (
    BuildSettings,
    build,
    package_manager,
    refused_lock_file,
    require_program,
    steps,
)


def application(tmp_path: Path, lock_file: str, scripts: dict[str, str] | None = None) -> Path:
    root = tmp_path / "app"
    root.mkdir()
    (root / "package.json").write_text(json.dumps({"scripts": scripts or {}}))
    (root / lock_file).write_text("")
    return root


def test_the_lock_file_decides(tmp_path: Path) -> None:
    root = application(tmp_path, "package-lock.json")
    assert package_manager(root) == "npm"
    (root / "pnpm-lock.yaml").write_text("")
    assert package_manager(root) == "pnpm"


def test_no_lock_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StabilityError, match=r"pnpm-lock\.yaml nor package-lock\.json"):
        package_manager(tmp_path)


@pytest.mark.parametrize("manager", ["pnpm", "npm"])
def test_development_dependencies_are_there_for_the_build_only(manager: str) -> None:
    install, run, prune = (" ".join(step) for step in steps(manager, builds=True))
    assert "--prod=false" in install or "--include=dev" in install
    assert run == f"{manager} run"
    assert "--prod " in prune or "--omit=dev" in prune
    assert "--ignore-scripts" in prune
    assert len(steps(manager, builds=False)) == 1


def test_a_script_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    root = application(tmp_path, "pnpm-lock.yaml", {"start": "node ."})
    settings = BuildSettings(bin=str(tmp_path / "bin"), build_script="compile")
    with pytest.raises(StabilityError, match="no script 'compile'; it has: start"):
        build(root, Identity("me", 0, 0, str(tmp_path)), settings)


def test_a_broken_package_json_is_named(tmp_path: Path) -> None:
    root = application(tmp_path, "pnpm-lock.yaml")
    (root / "package.json").write_text("{")
    with pytest.raises(StabilityError, match="no valid JSON"):
        build(root, Identity("me", 0, 0, str(tmp_path)), BuildSettings(bin=str(tmp_path / "bin")))


def test_a_missing_package_manager_is_named(tmp_path: Path) -> None:
    root = application(tmp_path, "pnpm-lock.yaml")
    with pytest.raises(CommandError, match="pnpm"):
        build(root, Identity("me", 0, 0, str(tmp_path)), BuildSettings(bin=str(tmp_path / "bin")))


@pytest.mark.parametrize(
    ("program", "package", "changes", "said"),
    [
        ("src/server.ts", {}, {}, ""),
        ("src/sever.ts", {"scripts": {"build": "tsc"}}, {}, "sever.ts (pm2_script), and no build makes it: in src/"),
        ("server.js", {}, {}, "in its top there are index.js. Nothing was built."),
        ("gone/server.js", {}, {"build": False}, "in gone/ there is no program"),
        ("dist/server.js", {"scripts": {"build": "tsc"}}, {}, ""),
        ("dist/server.js", {"scripts": {"compile": "tsc"}}, {"build_script": "compile"}, ""),
        ("dist/server.js", {"scripts": {"prepare": "tsc"}}, {}, ""),
        ("dist/server.js", {}, {"after_build": [["npx", "tsc"]]}, ""),
        ("packages/api/dist/server.js", {"workspaces": ["packages/*"]}, {}, ""),
        ("dist/server.js", {"scripts": {"build": "tsc"}}, {"build": False}, "no program dist/server.js"),
        ("node_modules/next/dist/bin/next", {}, {}, ""),
        ("", {}, {}, ""),
    ],
)  # fmt: skip
def test_a_program_that_no_build_makes_is_told_before_the_build(
    program: str, package: dict[str, Any], changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/server.ts").touch()
    (tmp_path / "index.js").touch()
    (tmp_path / "package.json").write_text(json.dumps(package))
    settings = BuildSettings(bin="/bin", **changes)
    with pytest.raises(StabilityError) if said else contextlib.nullcontext() as caught:
        require_program(tmp_path, program, me(tmp_path), settings)
    assert caught is None or said in str(caught.value)


def test_the_environment_is_for_production_and_the_user_s_values_win() -> None:
    settings = BuildSettings(bin="/bin", build_environment={"NODE_ENV": "test"}, build_heap_limit_mb=512, ca_file="/ca")
    variables = settings.variables()
    assert variables["NODE_ENV"] == "test"
    assert variables["NODE_OPTIONS"] == "--max-old-space-size=512"
    assert variables["NODE_EXTRA_CA_CERTS"] == "/ca"
    assert BuildSettings(bin="/bin").variables()["NODE_ENV"] == "production"


def me(home: Path) -> Identity:
    return Identity("me", os.getuid(), os.getgid(), str(home))


def hooked(tmp_path: Path, before: list[list[str]], after: list[list[str]]) -> tuple[Path, BuildSettings]:
    """A release whose npm only says what it was called with, and settings with these hooks."""
    root = application(tmp_path, "package-lock.json", {"build": "tsc"})
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "npm").write_text('#!/bin/sh\necho "npm $* ${JWT_SECRET:-nothing}" >>log\n')
    (commands / "npm").chmod(0o755)
    (tmp_path / "environment").write_text("JWT_SECRET=do-not-show-me\nNODE_ENV=production\n")
    return root, BuildSettings(
        bin=str(commands),
        before_build=before,
        after_build=after,
        environment_file=str(tmp_path / "environment"),
    )


FIXTURES = Path(__file__).parents[3] / "fixtures/npm"


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user, even oneself, is root's alone")
def test_a_lock_file_that_does_not_fit_is_told_in_npm_s_words_without_its_usage(tmp_path: Path) -> None:
    root, settings = hooked(tmp_path, [], [])
    (tmp_path / "bin/npm").write_text(f"#!/bin/sh\ncat {FIXTURES}/out_of_sync.txt; exit 1\n")
    with pytest.raises(StabilityError) as caught:
        build(root, me(tmp_path), settings)
    _what, sentence, *reasons, advice = str(caught.value).splitlines()
    assert sentence.startswith("`npm ci` can only install packages when")
    assert reasons == [
        "Missing: is-number@7.0.0 from lock file",
        "Invalid: lock file's ms@2.0.0 does not satisfy ms@2.1.3",
    ]
    assert advice == "Run npm install where the source is, and commit package-lock.json."


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user, even oneself, is root's alone")
@pytest.mark.parametrize(
    ("npm", "limit", "said"),
    [
        (
            "kill -9 $PPID; sleep 9",
            60,
            r"was killed .*\n.*MB of memory: give it more.*release_build_timeout \(60 s\), was not",
        ),
        (
            "trap '' TERM; sleep 2 & wait; sleep 9",
            1,
            r"its time limit of 1 s.*\n.*limit is release_build_timeout \(1 s\): ra",
        ),
    ],
)
def test_a_build_that_a_limit_has_ended_is_told_which_and_what_to_do(
    npm: str, limit: int, said: str, tmp_path: Path
) -> None:
    root, settings = hooked(tmp_path, [], [])
    (tmp_path / "bin/npm").write_text(f"#!/bin/sh\n{npm}\n")
    with pytest.raises(CommandError, match=said):
        build(root, me(tmp_path), replace(settings, build_timeout=limit))


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user, even oneself, is root's alone")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "pnpm@10.4.1+sha512.abc",
            "asks for pnpm 10.4.1 (packageManager), and the host has pnpm 12.4.2: set nodejs_pnpm_v",
        ),
        ("pnpm@12.4.2", ""),
        ("yarn@4.1.0", ""),
    ],
)
def test_another_version_of_the_package_manager_is_told(asked: str, said: str, tmp_path: Path) -> None:
    root, settings = hooked(tmp_path, [], [])
    (root / "package.json").write_text(json.dumps({"packageManager": asked}))
    (root / "pnpm-lock.yaml").touch()
    pnpm = tmp_path / "bin/pnpm"
    pnpm.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 12.4.2 && exit\necho ERR_PNPM_BAD_CONFIG_DEP; exit 1\n')
    pnpm.chmod(0o755)
    with pytest.raises(CommandError, match="ERR_PNPM_BAD_CONFIG_DEP") as caught:
        build(root, me(tmp_path), settings)
    assert said in str(caught.value)
    assert ("packageManager" in str(caught.value)) == bool(said)


def test_of_a_lock_file_that_lacks_much_the_first_packages_are_told() -> None:
    missing = "".join(f"npm ERR! Missing: p{number}@1.0.0 from lock file\n" for number in range(100))
    said = refused_lock_file(f"npm ERR! code EUSAGE\nnpm ERR! \n{missing}npm ERR! \nnpm ERR! Clean install a project\n")
    assert len(said.splitlines()) == 23
    assert "p19@" in said
    assert "... and 80 more" in said


def test_what_else_npm_says_is_left_as_it_is() -> None:
    assert refused_lock_file("npm error code E404\nnpm error 404 Not Found - GET https://registry.example/gone\n") == ""


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user, even oneself, is root's alone")
def test_hooks_run_around_the_build_and_alone_find_the_service_s_environment(tmp_path: Path) -> None:
    say = ["sh", "-c", 'echo "$0 $JWT_SECRET" >>log']
    root, settings = hooked(tmp_path, [[*say, "before"], [*say, "then"]], [[*say, "after"]])
    assert build(root, me(tmp_path), settings) == "npm"
    assert (root / "log").read_text().splitlines() == [
        "before do-not-show-me",
        "then do-not-show-me",
        "npm ci --include=dev nothing",
        "npm run build nothing",
        "npm prune --omit=dev --ignore-scripts nothing",
        "after do-not-show-me",
    ]


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user, even oneself, is root's alone")
def test_a_failing_hook_ends_the_build_and_shows_no_secret(tmp_path: Path) -> None:
    root, settings = hooked(tmp_path, [["sh", "-c", 'echo "with $JWT_SECRET"; exit 3']], [])
    with pytest.raises(CommandError) as caught:
        build(root, me(tmp_path), settings)
    message = str(caught.value)
    assert message.startswith("before_build: sh -c ")
    assert "failed with exit status 3" in message
    assert "with ********" in message
    assert "do-not-show-me" not in message
    assert not (root / "log").exists()
