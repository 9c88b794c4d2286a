# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which activation is active, the release that it runs and its unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._service.active import (
    active_activation,
    is_unfinished,
    release_of,
    unit_of,
    worker_socket,
)


def test_the_link_names_the_activation(tmp_path: Path) -> None:
    link = tmp_path / "active"
    assert active_activation(link) is None
    link.symlink_to("/srv/shop/activations/v1.4@2")
    assert active_activation(link) == "v1.4@2"
    assert worker_socket(link, 3) == link / "3.sock"
    link.unlink()
    link.mkdir()
    assert active_activation(link) is None


def test_a_deployment_that_was_killed_leaves_another_activation(tmp_path: Path) -> None:
    link, activations = tmp_path / "active", tmp_path / "activations"
    assert not is_unfinished(link)
    link.symlink_to(activations / "a")
    assert not is_unfinished(link)
    (activations / "a").mkdir(parents=True)
    assert not is_unfinished(link)
    (activations / "a@2").mkdir()
    assert is_unfinished(link)


@pytest.mark.parametrize(("activation", "release"), [("a", "a"), ("v1.4", "v1.4"), ("v1.4@2", "v1.4"), ("", "")])
def test_the_release_of_an_activation(activation: str, release: str) -> None:
    assert release_of(activation) == release


@pytest.mark.parametrize(
    ("template", "activation", "unit"),
    [
        ("shop@.service", "v1.4", "shop@v1.4.service"),
        ("shop@.service", "v1.4@2", "shop@v1.4@2.service"),
        ("shop@.service", None, ""),
        ("shop@.service", "", ""),
        # an existing service's
        ("own.service", "v1.4", "own.service"),
        ("own.service", None, "own.service"),
        ("own@17-main.service", "v1.4", "own@17-main.service"),
        ("", "v1.4", ""),
    ],
)
def test_the_unit_of_an_activation(template: str, activation: str | None, unit: str) -> None:
    assert unit_of(template, activation) == unit
