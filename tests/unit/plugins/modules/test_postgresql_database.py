# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.client import CONNECTION_OPTIONS, PgError
from ansible_collections.workbot.stability.plugins.modules import postgresql_database
from ansible_collections.workbot.stability.plugins.modules.postgresql_database import ROLE, SPEC, tables


def test_the_host_logs_nothing_of_the_passwords() -> None:
    """Inside another option a secret is masked only where its representation is its text."""
    assert SPEC["passwords"]["no_log"] is True
    assert not any("password" in name for name in ROLE)


def refused(*_arguments: Any, **_options: Any) -> NoReturn:
    raise PgError("no pg_hba.conf entry", lost=True)


def options(**given: str) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in CONNECTION_OPTIONS.items()}
    table = {"role": "shop", "creates": "orders", "sql": "CREATE TABLE orders ()"}
    return {**defaults, "login_db": "shop", "passwords": {}, "tables": table, **given}


def test_check_mode_forgives_a_refused_login_that_the_run_would_make_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_database, "converge_tables", refused)
    assert tables(options(), check_mode=True, is_coming=False, is_pending=True) == []


@pytest.mark.parametrize(
    ("host", "check_mode", "is_pending"), [("", True, False), ("db1", True, True), ("", False, True)]
)
def test_no_other_refused_login_is_forgiven(
    host: str, check_mode: bool, is_pending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_database, "converge_tables", refused)
    with pytest.raises(PgError, match="entry"):
        tables(options(login_host=host), check_mode=check_mode, is_coming=False, is_pending=is_pending)
