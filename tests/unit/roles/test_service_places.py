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
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import Place
from ansible_collections.workbot.stability.plugins.plugin_utils._program import INTERPRETER, build

ROLES = Path(__file__).parents[3] / "roles"
CODE = ROLES.parent / "plugins" / "module_utils"
TEMPLATES = {
    "/etc/systemd/system/logrotate-shop.service": "logrotate/templates/service.j2",
    "/etc/systemd/system/logrotate-shop.timer": "logrotate/templates/timer.j2",
    "/etc/systemd/system/shop-watchdog.service": "watchdog/templates/watchdog.service.j2",
    "/etc/systemd/system/shop-watchdog-act.socket": "watchdog/templates/act.socket.j2",
    "/etc/systemd/system/shop-watchdog-act@.service": "watchdog/templates/act.service.j2",
    "/etc/systemd/system/shop-alert.service": "alerting/templates/service.j2",
    "/etc/systemd/system/shop-alert.path": "alerting/templates/path.j2",
    "/etc/systemd/system/shop-alert.timer": "alerting/templates/timer.j2",
    "/etc/systemd/system/shop-alert-metrics.service": "alerting/templates/metrics.service.j2",
    "/etc/cron.d/shop-diagnose": "diagnostics/templates/cron.j2",
}
# Where the policy is, and where it was in 0.1.0.
POLICIES = ("/etc/logrotate-shop.conf", "/etc/logrotate.d/shop")
PROGRAMS = {
    "/usr/local/bin/shop-diagnose": "_programs.diagnose.cli:run",
    "/usr/local/bin/shop-watchdog": "_programs.watchdog.cli:run",
    "/usr/local/bin/shop-alert": "_programs.alert.cli:run",
    "/usr/local/lib/shop-alert-metrics": "_programs.alert.metrics:run",
}
OWN_TEMPLATES = {
    "/usr/local/bin/shop-pm2": "nodejs/templates/pm2.sh.j2",
    "/etc/tmpfiles.d/shop.conf": "service/templates/tmpfiles.conf.j2",
}


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
    assert around.keys() == {"/srv/shop", "/var/log/shop", *POLICIES, *TEMPLATES, *PROGRAMS}
    assert places().keys() == {*around, "/etc/systemd/system/pm2-shop.service", "/opt/shop", *OWN_TEMPLATES}


@pytest.mark.parametrize(("path", "template"), [*TEMPLATES.items(), *OWN_TEMPLATES.items()])
def test_a_file_of_the_roles_is_known_and_another_is_refused(tmp_path: Path, path: str, template: str) -> None:
    place, file = places()[path], tmp_path / "file"
    file.write_text((ROLES / template).read_text(encoding="utf-8"))
    assert Place(str(file), place.variable, place.marks).conflict() == ""
    file.write_text("# Ansible managed\n[Unit]\nDescription=The shop's own\n* * * * * root shop-diagnose\n")
    assert "not of these roles" in Place(str(file), place.variable, place.marks).conflict()


@pytest.mark.parametrize(("path", "entry_point"), PROGRAMS.items())
def test_a_program_of_the_roles_is_known_and_another_is_refused(tmp_path: Path, path: str, entry_point: str) -> None:
    place, file = places()[path], tmp_path / "file"
    file.write_bytes(build(CODE, entry_point, {}, INTERPRETER))
    assert Place(str(file), place.variable, place.marks).conflict() == ""
    file.write_text("#!/bin/sh\nexec shop-diagnose\n")
    assert "not of these roles" in Place(str(file), place.variable, place.marks).conflict()


@pytest.mark.parametrize("path", POLICIES)
@pytest.mark.parametrize(
    "text", ["/var/log/shop/*.log {\n\tweekly\n}\n", "# The logs of shop\n/srv/shop.log { daily }\n"]
)
def test_a_policy_set_up_by_hand_is_not_taken_for_the_roles(tmp_path: Path, text: str, path: str) -> None:
    place = places()[path]
    policy = tmp_path / "shop"
    policy.write_text(text)
    assert Place(str(policy), place.variable, place.marks).conflict()


def test_the_roles_policy_is_known_whatever_logs_it_names() -> None:
    (mark,) = places()[POLICIES[0]].marks
    template = (ROLES / "logrotate" / "templates" / "policy.j2").read_text(encoding="utf-8")
    around, own = template.split("{% if service_is_external %}")[1].split("{% endif %}")[0].split("{% else %}")
    assert mark in around
    assert mark in own
