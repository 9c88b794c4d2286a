# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.action.packages import announcement, answer
from ansible_collections.workbot.stability.plugins.modules.packages import missing_packages

# As dpkg-query prints it: nginx is there, cron was removed but its configuration was left, unknown names are left out.
LISTING = "nginx installed\ncron config-files\n"


def test_what_is_not_installed_is_missing_once() -> None:
    assert missing_packages(["nginx", "cron", "unknown", "cron"], LISTING) == ["cron", "unknown"]


def test_nothing_is_missing_where_all_is_installed() -> None:
    assert missing_packages(["nginx"], LISTING) == []


ASKED = {"present": ["nginx", "cron"], "missing": ["cron", "apprise"]}


def test_what_an_earlier_task_found_answers() -> None:
    found = answer(["cron"], ASKED)
    assert found is not None
    assert (found["changed"], found["missing"], found["present"]) == (False, ["cron"], ["nginx", "cron"])


def test_what_nobody_asked_for_has_to_be_asked() -> None:
    assert answer(["apprise"], ASKED) is None
    assert answer(["nginx"], None) is None
    # a task that was skipped has registered no answer
    assert answer(["nginx"], {"skipped": True}) is None
    assert answer([], {"skipped": True}) is None


def test_check_mode_announces_a_package_once() -> None:
    first = announcement(["nginx", "cron"], {})
    assert (first["changed"], first["diff"]["after"]) == (True, "nginx\ncron\n")
    second = announcement(["cron", "apprise"], first["ansible_facts"])
    assert (second["changed"], second["diff"]["after"]) == (True, "apprise\n")
    third = announcement(["apprise", "nginx"], second["ansible_facts"])
    assert (third["changed"], third["diff"]["after"]) == (False, "")
