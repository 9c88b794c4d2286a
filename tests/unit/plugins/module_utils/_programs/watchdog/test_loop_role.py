# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog's role allows, against what the watchdog and systemd make of it."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workbot.stability.plugins.modules.host_files import SPEC
from places import ROOT

ROLE = ROOT / "roles/watchdog"
# beside the workers and the proxy, who are asked at once: PM2's daemon, the database, systemd, root's test of the proxy
OTHER_READERS = 2 + 6 + 5 + 5


def test_the_longest_probe_after_the_longest_pause_is_in_time_for_systemd() -> None:
    rules: dict[str, Any] = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__watchdog_rules"]
    found = re.search(r"^WatchdogSec=(\d+)$", (ROLE / "templates/watchdog.service.j2").read_text(), re.MULTILINE)
    assert found
    longest = rules["watchdog_period"]["max"] + rules["watchdog_answer_timeout"]["max"] + OTHER_READERS
    assert longest < int(found[1])


@pytest.mark.parametrize("enabled", [False, "false", "no"])
def test_what_is_switched_off_on_the_command_line_is_stopped(enabled: object) -> None:
    """There every value is a text."""
    (task,) = yaml.safe_load((ROLE / "tasks/configure.yml").read_text())
    environment = jinja2.Environment(autoescape=True)
    given = [
        {
            "name": str(number),
            **{
                key: environment.from_string(unit[key]).render(watchdog_enabled=enabled)
                for key in ("enabled", "started")
            },
        }
        for number, unit in enumerate(task["workbot.stability.host_files"]["units"])
    ]
    checked = ArgumentSpecValidator(SPEC).validate({"units": given})
    units = checked.validated_parameters["units"]
    assert [(unit["enabled"], unit["started"]) for unit in units] == [(False, False)] * 2
