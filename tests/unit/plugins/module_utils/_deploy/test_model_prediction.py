# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In check mode an activation is decided from the state that the run's earlier tasks would leave."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.actual import Actual
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Desired
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import NEWER_PRELOAD
from ansible_collections.workbot.stability.plugins.module_utils._deploy.run import predicted
from ansible_collections.workbot.stability.plugins.module_utils._service.dotenv import dump

OLD, NEW, EDITED = {"LOG_LEVEL": "info"}, {"LOG_LEVEL": "debug"}, {"LOG_LEVEL": "trace"}


def desired(environment: Mapping[str, str], preloads: bool = False) -> Desired:
    digest = hashlib.sha256(dump(environment).encode()).hexdigest()
    return Desired({}, check_mode=True, environment_digest=digest, preloads_pending=preloads)


@pytest.mark.parametrize(
    ("environment", "activation", "file", "pending"),
    [
        pytest.param(OLD, OLD, OLD, (), id="nothing"),
        pytest.param(NEW, OLD, OLD, ("the environment file would change",), id="declared anew"),
        pytest.param(OLD, OLD, EDITED, (), id="only the file was edited, and is put back"),
        pytest.param(NEW, OLD, EDITED, ("the environment file would change",), id="edited, and declared anew"),
        pytest.param(OLD, None, EDITED, (), id="an activation without a file has a reason already"),
    ],
)
def test_environment(
    environment: Mapping[str, str],
    activation: Mapping[str, str] | None,
    file: Mapping[str, str],
    pending: tuple[str, ...],
) -> None:
    found = predicted(desired(environment), Actual(active_environment=activation, environment=file))
    assert found.pending == pending
    assert found.environment == (activation or (OLD if file == OLD else {}))


def test_a_file_that_is_there_as_desired_is_compared_by_name() -> None:
    found = predicted(desired(NEW), Actual(active_environment=OLD, environment=NEW))
    assert (found.pending, found.environment) == ((), NEW)


def test_preloads() -> None:
    assert predicted(desired(OLD, preloads=True), Actual(active_environment=OLD, environment=OLD)).pending == (
        NEWER_PRELOAD,
    )
