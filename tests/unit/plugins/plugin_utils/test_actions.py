# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action


class Unlucky(Action):
    def outcome(self) -> dict[str, Any]:
        raise AnsibleConnectionFailure("no route to host")


class Awaited(Unlucky):
    lost = "The canary was lost"


@pytest.fixture(autouse=True)
def _base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *_arguments: {"base": True})


def test_a_lost_connection_is_a_failure_where_a_playbook_has_to_answer_it() -> None:
    result = object.__new__(Awaited).run()
    assert result == {"base": True, "failed": True, "msg": "The canary was lost: no route to host"}


def test_elsewhere_it_makes_the_host_unreachable() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        object.__new__(Unlucky).run()
