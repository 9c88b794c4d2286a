# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a lock file that counts for a toolchain, and the collection's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._host.errors import StabilityError
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.lock_file import locked
from ansible_collections.workbot.stability.plugins.module_utils._nodejs.toolchain import Desired
from places import ROOT

ROLE = ROOT / "roles" / "nodejs"
OWN = json.loads((ROLE / "files" / "package-lock.json").read_text())
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
DIGEST = "sha512-abc"


def entry(version: str = "1.0.0", **more: Any) -> dict[str, Any]:
    return {"version": version, "integrity": DIGEST, **more}


def lock(**packages: dict[str, Any]) -> dict[str, Any]:
    return {"lockfileVersion": 3, "packages": {f"node_modules/{name}": value for name, value in packages.items()}}


def test_what_a_wanted_package_depends_on_counts_and_nothing_else() -> None:
    content = lock(
        pm2=entry(dependencies={"a": "*", "b": "*"}, optionalDependencies={"nowhere": "*"}),
        a=entry(resolved="https://registry.test/a.tgz", dependencies={"pm2": "*"}),
        b=entry("2.0.0"),
        other=entry(),
    )
    content["packages"] |= {
        "node_modules/pm2/node_modules/b": entry("1.0.0", dependencies={"c": "*"}),
        "node_modules/c": entry(),
        "node_modules/pm2/node_modules/b/node_modules/d": entry(),
    }
    found = locked(content, {"pm2": "1.0.0"})
    assert list(found) == [
        "node_modules/a",
        "node_modules/c",
        "node_modules/pm2",
        "node_modules/pm2/node_modules/b",
    ]
    assert "resolved" not in found["node_modules/a"]


def test_a_package_of_another_version_does_not_count() -> None:
    assert locked(lock(pm2=entry("1.0.0")), {"pm2": "1.0.1"}) == {}
    assert locked({}, {"pm2": "1.0.1"}) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lockfileVersion": 1, "dependencies": {}}, "lockfileVersion"),
        ({"lockfileVersion": 3}, "no packages"),
        (lock(pm2={"version": "1.0.0"}), "node_modules/pm2 has no integrity"),
        (lock(pm2={"version": "1.0.0", "integrity": "sha1-abc"}), "sha512"),
    ],
)
def test_a_lock_file_without_digests_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(StabilityError, match=message):
        locked(content, {"pm2": "1.0.0"})


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_collection_s_own_has_all_of_the_default_versions(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    versions = [DEFAULTS[f"nodejs_{name}"] for name in ("version", "npm_version", "pnpm_version", "pm2_version")]
    desired = Desired("npm", *versions, lock=OWN)
    found = desired.locked()
    assert {f"node_modules/{name}" for name in desired.packages()} <= set(found)
    # PM2's tree is in it, not PM2 alone
    assert len([place for place in found if not place.startswith("node_modules/npm/")]) > 70


def test_the_collection_s_own_names_no_registry() -> None:
    assert "://" not in json.dumps(OWN)
