# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `release` on the host by itself, in a place of its own: no service runs what is made there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hosts import ROOT
from testinfra.host import Host

PLACE = "/srv/release-test"
SECRET = "do-not-show-this-secret"
OPTIONS = {
    "path": f"{PLACE}/releases",
    "shared": f"{PLACE}/shared",
    "active": f"{PLACE}/active",
    "environment_file": f"{PLACE}/environment",
    "user": "workbot",
    "group": "workbot",
    "bin": "/opt/workbot/bin",
    "build_environment": {"npm_config_offline": "true"},
}


@contextlib.contextmanager
def place_of(host: Host) -> Iterator[None]:
    """Where releases are made meanwhile."""
    host.check_output(f"install -d -g workbot -m 0750 {PLACE} {PLACE}/releases")
    host.check_output(f"install -d -o workbot -g workbot -m 0750 {PLACE}/shared")
    host.check_output(f"printf 'JWT_SECRET={SECRET}\\n' | install -m 0600 /dev/stdin {PLACE}/environment")
    yield
    host.check_output(f"rm -rf {PLACE}")


def application(directory: Path, **package: Any) -> Path:
    """The source of a release that has nothing to install."""
    source = directory / "application"
    source.mkdir(parents=True)
    manifest = {"name": "application", "version": "1.0.0", **package}
    lock = {"name": "application", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": manifest}}
    (source / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (source / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
    return source


def start(*flags: str, environment: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """The module at work. In CI the controller is a runner; it is named after the job."""
    return subprocess.Popen(
        [
            *("ansible", "app", "--inventory=molecule/inventory", "--become", *flags),
            *("--module-name=workbot.stability.release", f"--args={json.dumps({**OPTIONS, **options})}"),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def result(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """What the module returned, and all that was printed."""
    output, _none = process.communicate(timeout=120)
    head, mark, text = output.partition(" => ")
    assert mark, output
    returned: dict[str, Any] = json.JSONDecoder().raw_decode(text.lstrip())[0]
    return {**returned, "failed": head.endswith("FAILED!")}, output


def release(*flags: str, environment: Mapping[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """A run that must succeed."""
    returned, output = result(start(*flags, environment=environment, **options))
    assert not returned["failed"], output
    return returned


def refused(environment: Mapping[str, str] | None = None, **options: Any) -> str:
    """The message of a run that must fail; nothing that it prints, however much, holds a secret."""
    returned, output = result(start("-vvv", environment=environment, **options))
    assert returned["failed"], output
    assert SECRET not in output
    return str(returned["msg"])
