# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenario fleet: where they are, their power, and playbooks that run on all of them."""

from __future__ import annotations

import hashlib
import os
import subprocess

import testinfra
from hosts import HOSTS, ROOT
from testinfra.host import Host

INVENTORY = ROOT / "molecule" / "inventory-fleet"
APPS = ("fleet-app1", "fleet-app2", "fleet-app3")
PROXIES = ("fleet-proxy1", "fleet-proxy2")
DATABASE = "fleet-db"
ALL = (*APPS, *PROXIES, DATABASE)


def host_of(name: str) -> Host:
    """As its administrator, over SSH, with sudo."""
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(HOSTS / "ssh_config"), sudo=True)


def address_of(name: str) -> str:
    """Where the other hosts, and this machine, reach it; the same after a restart."""
    return (HOSTS / f"{name}.inside").read_text(encoding="utf-8").strip()


def podman(*arguments: str) -> str:
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    done = subprocess.run([*root, "podman", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def container_of(name: str) -> str:
    """As molecule/default/vars/hosts.yml names it."""
    return f"{name}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}"
