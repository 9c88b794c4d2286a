# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run ends with what its reader has to know, whatever is set in the ansible.cfg of whoever uses the collection."""

from __future__ import annotations

from pathlib import Path

import pytest
from deployments import AT_ONCE, FROM_RELEASE, Service, release, wait
from hosts import ROOT

BACK = f"To go back: ansible-playbook -i {ROOT}/molecule/inventory workbot.stability.rollback"


@pytest.mark.usefixtures("good")
def test_a_release_and_its_rollback_end_with_where_it_is_and_what_comes_next(shop: Service, tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").touch()
    users = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_COLLECTIONS_PATH": ".cache/collections"}
    variables = {**AT_ONCE, "release_directory": release(tmp_path, "next")}
    deployed = wait(shop.start("deploy", FROM_RELEASE, environment=users, **variables))
    found = shop.settled()
    _recap, said, last = deployed.output.rpartition(f" workbot-test: shop: release {found['current']} active after ")
    assert said, deployed.output
    assert last.endswith(f" Address: http://shop.test/ How it is: sudo shop-diagnose, on workbot-test {BACK}")
    back = wait(shop.start("rollback", environment=users, **AT_ONCE))
    assert f" workbot-test: shop: release {found['previous']} active after " in back.output
    assert back.output.endswith(BACK)
