# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the peers of benchmarks/speed.py work with: one directory with their files, the application and the settings."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
WORK = ROOT / ".cache/speed"
PASSWORD = "only-for-hosts-that-are-thrown-away"
ENVIRONMENT = f"""NODE_ENV=production
PORT=3000
JWT_SECRET={PASSWORD}-{PASSWORD}
DATABASE_URL=postgresql://shop:{PASSWORD}@127.0.0.1:5432/shop
DB_POOL_MAX=20
DB_POOL_MIN=5
"""


def payload() -> None:
    """Make the directory anew."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(HERE / "files", WORK / "files")
    shutil.copy(HERE / "shell.sh", WORK)
    (WORK / "known_hosts").touch()
    digest = _application(WORK / "app")
    authorities = ROOT / ".cache/hosts/extra-ca.crt"
    (WORK / "files/extra-ca.crt").write_bytes(authorities.read_bytes() if authorities.exists() else b"")
    (WORK / "files/environment").write_text(ENVIRONMENT)
    chosen = yaml.safe_load((ROOT / "roles/nodejs/defaults/main.yml").read_text())
    versions = " ".join(chosen[name] for name in ("nodejs_version", "nodejs_pnpm_version", "nodejs_pm2_version"))
    settings = {"versions": versions, "digest": digest, "password": PASSWORD, "postgresql": "17"}
    (WORK / "files/settings").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))


def _application(target: Path) -> str:
    """Copy what git knows of the reference service; return the digest of it."""
    source, digest = ROOT / "examples/workbot", hashlib.sha256()
    names = subprocess.run(["git", "ls-files"], cwd=source, capture_output=True, text=True, check=True).stdout.split()
    for name in sorted(names):
        content = (source / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return digest.hexdigest()
