# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on side by side on a new host, and what must wait all the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from places import ROOT
from role_templates import trusted

NEW_HOST: dict[str, Any] = {
    "service_parallel_first_run": True,
    "service_is_new": True,
    "__service_whole_play": True,
    "__service_has_background": True,
    "release_before_build": [],
    "release_after_build": [],
    "release_build_environment": {},
    "release_archive": "",
}


def rendered(role: str, name: str, **variables: Any) -> Any:
    """A variable of the role, where these are those of the host."""
    own = {}
    for part in ("service", role):
        own |= yaml.safe_load((ROOT / f"roles/{part}/vars/main.yml").read_text(encoding="utf-8"))
    declared = trusted(own)
    return Templar(DataLoader(), variables=declared | NEW_HOST | variables).template(declared[name])


@pytest.mark.parametrize(
    ("variables", "ahead"),
    [
        ({}, True),
        ({"service_is_new": False}, False),
        ({"__service_whole_play": False}, False),
        # another order of the roles, for all that is known
        ({"service_parallel_first_run": False}, False),
        ({"__service_has_background": False}, False),
    ],
)
def test_only_a_whole_play_on_a_new_host_begins_ahead(variables: dict[str, Any], ahead: bool) -> None:
    assert rendered("service", "service_begins_ahead", **variables) is ahead


@pytest.mark.parametrize("compares", [True, False])
def test_a_comparison_sees_each_role_by_itself(compares: bool) -> None:
    """It goes through no role that another role includes."""
    play = yaml.safe_load((ROOT / "playbooks/_app.yml").read_text(encoding="utf-8"))[0]
    given = trusted(play["vars"]["service_parallel_first_run"])
    assert Templar(DataLoader(), variables={"__site_compares": compares}).template(given) is not compares


@pytest.mark.parametrize(
    ("variables", "ahead"),
    [
        ({}, True),
        ({"release_archive": "/home/me/shop.tar.gz"}, True),
        ({"service_is_new": False}, False),
        # these are given what the database can be asked with
        ({"release_before_build": [["npm", "run", "generate"]]}, False),
        ({"release_after_build": [["npm", "run", "warm"]]}, False),
        ({"release_build_environment": {"DATABASE_URL": "postgresql:///shop"}}, False),
        # and this one Debian's certificates
        ({"release_archive": "https://host.example/shop.tar.gz"}, False),
    ],
)
def test_a_build_that_may_ask_the_database_waits_for_it(variables: dict[str, Any], ahead: bool) -> None:
    assert rendered("release", "release_comes_ahead", **variables) is ahead


def test_whoever_waits_for_an_activation_knows_whether_one_goes_on() -> None:
    assert rendered("pm2", "pm2_job", __pm2_begun={"changed": False, "job": "/jobs/j1.2"}) == "/jobs/j1.2"
    assert rendered("pm2", "pm2_job", __pm2_begun={"changed": False, "skipped": True}) == ""
    assert rendered("pm2", "pm2_job") == ""
