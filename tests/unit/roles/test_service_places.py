# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By what the role service knows that a place of the host is its own: what the roles write there, and nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.workbot.stability.plugins.module_utils._host_conflicts import Place

ROLES = Path(__file__).parents[3] / "roles"


def trusted(value: Any) -> Any:
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


def places(**given: Any) -> dict[str, Place]:
    """Those of a service, by path."""
    variables: dict[str, Any] = {}
    for file in ("defaults", "vars"):
        variables |= yaml.safe_load((ROLES / "service" / file / "main.yml").read_text(encoding="utf-8"))
    templar = Templar(DataLoader(), variables=trusted({**variables, "service_name": "shop", **given}))
    found = templar.template(trust_as_template("{{ __service_places }}"))
    return {place["path"]: Place(**place) for place in found}


def test_the_tools_alone_take_less_than_the_service() -> None:
    around = places(service_supervisor="process")
    assert around.keys() == {"/srv/shop", "/var/log/shop", "/etc/logrotate.d/shop"}
    assert places().keys() == {*around, "/etc/systemd/system/pm2-shop.service", "/opt/shop"}


@pytest.mark.parametrize(
    "text", ["/var/log/shop/*.log {\n\tweekly\n}\n", "# The logs of shop\n/srv/shop.log { daily }\n"]
)
def test_a_policy_set_up_by_hand_is_not_taken_for_the_roles(tmp_path: Path, text: str) -> None:
    place = places()["/etc/logrotate.d/shop"]
    policy = tmp_path / "shop"
    policy.write_text(text)
    assert Place(str(policy), place.variable, place.marks).conflict()


def test_the_roles_policy_is_known_whatever_logs_it_names() -> None:
    (mark,) = places()["/etc/logrotate.d/shop"].marks
    template = (ROLES / "logrotate" / "templates" / "policy.j2").read_text(encoding="utf-8")
    around, own = template.split("{% if service_is_existing %}")[1].split("{% endif %}")[0].split("{% else %}")
    assert mark in around
    assert mark in own
