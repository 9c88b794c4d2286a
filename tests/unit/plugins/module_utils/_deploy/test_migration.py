# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A migration that the database refuses names the variable that it lacks."""

from __future__ import annotations

import pytest
from activation_host import GOOD, deploy, desiring, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.migration import advice
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('error: permission denied to create extension "postgis"', "add postgis to postgresql_extensions"),
        ("cause: error: permission denied for database shop\n code: '42501'", "postgresql_admin_user"),
        ("error: must be owner of table orders", "service_database_user"),
        ("  code: '42501',", "service_database_user"),
        ("error: relation \"orders\" already exists\n code: '42P07'", ""),
    ],
)
def test_what_a_refused_migration_needs_is_named(output: str, said: str) -> None:
    assert said in advice(output)
    assert bool(said) == bool(advice(output))


def test_it_stands_behind_what_the_migration_wrote(served: Context) -> None:
    release(served, "new", GOOD)
    refused = ["/bin/sh", "-c", "echo permission denied to create extension '\"postgis\"'; exit 1"]
    with pytest.raises(ActivationError, match=r'(?s)extension "postgis".*add postgis to postgresql_extensions'):
        deploy(desiring(served, migrate=refused), "new")
