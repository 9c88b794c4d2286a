# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In check mode an activation is decided from the state that the run's earlier tasks would leave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import NEWER_PRELOAD
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import Order, coming
from ansible_collections.workbot.stability.plugins.module_utils._deploy.state import State
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import dump

OLD, NEW, EDITED = {"LOG_LEVEL": "info"}, {"LOG_LEVEL": "debug"}, {"LOG_LEVEL": "trace"}


def order(wanted: Mapping[str, str], preloads: bool = False) -> Order:
    digest = hashlib.sha256(dump(wanted).encode()).hexdigest()
    return Order("", True, "", False, False, environment_digest=digest, preloads_pending=preloads)


@pytest.mark.parametrize(
    ("wanted", "activation", "file", "pending"),
    [
        pytest.param(OLD, OLD, OLD, (), id="nothing"),
        pytest.param(NEW, OLD, OLD, ("the environment file would change",), id="declared anew"),
        pytest.param(OLD, OLD, EDITED, (), id="only the file was edited, and is put back"),
        pytest.param(NEW, OLD, EDITED, ("the environment file would change",), id="edited, and declared anew"),
        pytest.param(OLD, None, EDITED, (), id="an activation without a file has a reason already"),
    ],
)
def test_environment(
    wanted: Mapping[str, str], activation: Mapping[str, str] | None, file: Mapping[str, str], pending: tuple[str, ...]
) -> None:
    found = coming(order(wanted), State(active_environment=activation, environment=file))
    assert found.pending == pending
    assert found.environment == (activation or (OLD if file == OLD else {}))


def test_a_file_that_is_there_as_wanted_is_compared_by_name() -> None:
    found = coming(order(NEW), State(active_environment=OLD, environment=NEW))
    assert (found.pending, found.environment) == ((), NEW)


def test_preloads() -> None:
    assert coming(order(OLD, preloads=True), State(active_environment=OLD, environment=OLD)).pending == (NEWER_PRELOAD,)
