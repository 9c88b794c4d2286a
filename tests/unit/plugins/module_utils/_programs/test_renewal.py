# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another activation that systemd starts for the watchdog: by the options that are kept beside what is active."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import Activation, ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._deploy.outcome import Outcome
from ansible_collections.workbot.stability.plugins.module_utils._deploy.plan import Decision
from ansible_collections.workbot.stability.plugins.module_utils._programs import renewal

OPTIONS = {
    "service": "shop",
    "run_directory": "/run/shop",
    "app": {"script": "server.js", "instances": 2, "exec_mode": "cluster"},
    "loader": "",
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "group": "root",
    "pm2": "/opt/shop/bin/pm2",
    "node": "/opt/shop/bin/node",
    "timeout": 5.0,
    "health_path": "/health",
    "health_timeout": 5.0,
    "start_timeout": 60.0,
    "stay_up": 3.0,
    "proxy_url": "",
    "proxy_headers": {},
    "overlap": True,
}


@pytest.fixture
def active(tmp_path: Path) -> Path:
    directory = tmp_path / "activations/new"
    directory.mkdir(parents=True)
    (tmp_path / "active").symlink_to(directory)
    (directory / "options.json").write_text(json.dumps({**OPTIONS, "directory": str(tmp_path)}))
    return tmp_path / "active"


def test_it_is_a_deployment_of_what_is_active(
    active: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Context] = []

    def activate(context: Context) -> Outcome:
        asked.append(context)
        decision = Decision("activate", Activation("new", 2), ("another one was asked for",), (), (), (), "", "")
        return Outcome(decision, changed=True, seconds=8.4)

    monkeypatch.setattr(renewal, "activate", activate)
    assert renewal.main(str(active)) == 0
    assert capsys.readouterr().out == "shop: release new@2 active after 8.4 s (another one was asked for)\n"
    (context,) = asked
    assert (context.desired.release, context.desired.migrate, context.desired.renews) == ("", (), True)
    assert context.places.active == active


def test_what_fails_is_said_and_the_unit_fails(
    active: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def activate(_context: Context) -> Outcome:
        raise ActivationError("Release new was not taken into service.\nFailed step: start")

    monkeypatch.setattr(renewal, "activate", activate)
    assert renewal.main(str(active)) == 1
    assert capsys.readouterr().err == "Release new was not taken into service.\nFailed step: start\n"


@pytest.mark.parametrize("content", ["[", '{"service": "shop"}', None], ids=["damaged", "of another version", "gone"])
def test_without_options_nothing_is_done(
    active: Path, content: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(renewal, "activate", pytest.fail)
    file = active / "options.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert renewal.main(str(active)) == 1
    said = capsys.readouterr().err
    assert str(file) in said
    assert "Apply the playbook" in said
