# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that can't be meant so are refused before anything changes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from fleet import APPS, DATABASE, INVENTORY, PROXIES, address_of, inventory_of
from hosts import ROOT


def refused(host: str, inventory: Path = INVENTORY, **variables: str) -> str:
    """What a run on this host says that must end at the check of the variables."""
    given = (f"--inventory={inventory}", f"--limit={host}", f"--extra-vars={json.dumps(variables)}")
    run = subprocess.run(
        ["ansible-playbook", *given, "workbot.stability.site"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0, run.stdout
    assert "changed=0 " in run.stdout
    # molecule has Ansible write its messages to the standard error
    return " ".join((run.stdout + run.stderr).split())


@pytest.mark.parametrize(("name", "address"), [(PROXIES[0], "127.0.0.1"), (DATABASE, "localhost"), (APPS[0], "::1")])
def test_an_address_that_is_everybodys_own(name: str, address: str) -> None:
    said = refused(name, service_address=address)
    assert re.search(rf"service_address \({name}[^)]*\): is {address}, where the other hosts reach themselves", said), (
        said
    )


def test_the_address_of_another_host() -> None:
    said = refused(PROXIES[1], service_address=address_of(APPS[0]))
    assert f"is {address_of(APPS[0])}, and so is that of fleet-app1" in said


def test_proxies_of_nobody() -> None:
    with inventory_of() as inventory:
        assert "inventory: has no host in the group app" in refused(PROXIES[0], inventory)
