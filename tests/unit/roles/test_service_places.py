# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By what is known that a place of the host is a service's own: what the roles write there, and nobody else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.module_utils._checks.host_conflicts import conflict
from ansible_collections.workbot.stability.plugins.module_utils._service.footprint import Service, Thing, belongings
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
    "/etc/systemd/system/shop-metrics.service": "metrics/templates/metrics.service.j2",
    "/etc/cron.d/shop-diagnose": "diagnostics/templates/cron.j2",
    "/etc/cron.d/shop-report": "report/templates/cron.j2",
    "/etc/logrotate-shop.conf": "logrotate/templates/policy.j2",
}
PROGRAMS = {
    "/usr/local/bin/shop-diagnose": "_programs.diagnose.cli:run",
    "/usr/local/bin/shop-watchdog": "_programs.watchdog.cli:run",
    "/usr/local/bin/shop-alert": "_programs.alert.cli:run",
    "/usr/local/bin/shop-report": "_programs.report.cli:run",
    "/usr/local/lib/shop-watchdog-act": "_programs.watchdog.root_helper:run",
    "/usr/local/lib/shop-metrics": "_programs.metrics.publish:run",
}
OWN_TEMPLATES = {
    "/usr/local/bin/shop-pm2": "nodejs/templates/pm2.sh.j2",
    "/etc/tmpfiles.d/shop.conf": "service/templates/tmpfiles.conf.j2",
    "/etc/systemd/system/shop.service": "pm2/templates/boot.service.j2",
    "/etc/systemd/system/shop@.service": "pm2/templates/activation.service.j2",
    "/etc/systemd/system/shop-renewal.service": "pm2/templates/renewal.service.j2",
    "/etc/systemd/system/shop-file-backup.timer": "backup/templates/files.timer.j2",
    "/etc/systemd/system/shop-file-backup@.service": "backup/templates/files.service.j2",
    "/etc/systemd/system/certbot.service.d/shop.conf": "nginx/templates/renewal.conf.j2",
}
OWN_PROGRAMS = {
    "/usr/local/lib/shop-renewal": "_programs.renewal:run",
    "/usr/local/bin/shop-file-backup": "_programs.file_backup.cli:run",
    "/etc/letsencrypt/renewal-hooks/deploy/shop": "_programs.certificate:run",
}


def service(**given: Any) -> Service:
    return Service("shop", "shop", "shop", "/srv/shop", "/var/log/shop", "/run/shop", **given)


def known(**given: Any) -> dict[str, Thing]:
    """What of a service has a mark, by path."""
    return {thing.path: thing for thing in belongings(service(**given)) if thing.marks and thing.path.startswith("/")}


def variables(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text(encoding="utf-8"))
    return found


def test_the_roles_print_what_the_service_is_known_by() -> None:
    assert variables("service")["service_mark"].replace("{{ service_name }}", "shop") == service().mark


def test_the_tools_alone_take_less_than_the_service() -> None:
    """All files that the roles write outside of the service's directories are known by what is in them."""
    servers = {"/etc/postgresql/*/main/pg_hba.conf", "/etc/postgresql/*/main/pg_ident.conf"}
    around = known(tools_only=True)
    assert around.keys() - servers == {
        "/srv/shop",
        "/var/log/shop",
        "/etc/shop-alert",
        *TEMPLATES,
        *PROGRAMS,
    }
    own = {"/opt/shop", "/etc/ansible/facts.d/shop-plan.fact"}
    assert known().keys() == {*around, *own, *OWN_TEMPLATES, *OWN_PROGRAMS}


@pytest.mark.parametrize(("path", "template"), [*TEMPLATES.items(), *OWN_TEMPLATES.items()])
def test_a_file_of_the_roles_is_known_and_another_is_refused(tmp_path: Path, path: str, template: str) -> None:
    thing, file = known()[path], tmp_path / "file"
    text = (ROLES / template).read_text(encoding="utf-8")
    file.write_text(text.replace("{{ service_mark }}", service().mark))
    assert is_free(thing, file)
    for foreign in (
        "# Ansible managed\n[Unit]\nDescription=The shop's own\n* * * * * root shop-diagnose\n",
        text.replace("{{ service_mark }}", service().mark.replace("shop", "shop2")),
    ):
        file.write_text(foreign)
        assert not is_free(thing, file)


@pytest.mark.parametrize(("path", "entry_point"), [*PROGRAMS.items(), *OWN_PROGRAMS.items()])
def test_a_program_of_the_roles_is_known_and_another_is_refused(tmp_path: Path, path: str, entry_point: str) -> None:
    thing, file = known()[path], tmp_path / "file"
    file.write_bytes(build(CODE, entry_point, {}, INTERPRETER))
    assert is_free(thing, file)
    file.write_text("#!/bin/sh\nexec shop-diagnose\n")
    assert not is_free(thing, file)


@pytest.mark.parametrize(
    "text", ["/var/log/shop/*.log {\n\tweekly\n}\n", "# The logs of shop\n/srv/shop.log { daily }\n"]
)
def test_a_policy_set_up_by_hand_is_not_taken_for_the_roles(tmp_path: Path, text: str) -> None:
    policy = tmp_path / "shop"
    policy.write_text(text)
    assert not is_free(known()["/etc/logrotate-shop.conf"], policy)


def is_free(thing: Thing, path: Path) -> bool:
    """Whether the installation takes it: as its own, or as it is not there."""
    text = conflict(dataclasses.replace(thing, path=str(path)))
    assert not text or "not of these roles" in text
    return not text
