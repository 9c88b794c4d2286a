# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.modules.postgresql_database import ROLE, SPEC


def test_the_host_logs_nothing_of_the_passwords() -> None:
    """Inside another option a secret is masked only where its representation is its text."""
    assert SPEC["passwords"]["no_log"] is True
    assert not any("password" in name for name in ROLE)
