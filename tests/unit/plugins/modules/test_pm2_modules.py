# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible itself prints and logs of a task, here all that -vvv would show, holds no value of an environment."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.workbot.stability.plugins.modules import active_release, pm2_app

SECRET = "a-value-that-nobody-may-see"
APP = {"name": "shop", "script": "server.js", "cwd": "/", "env": {"KEY": SECRET}}


def cases(root: Path) -> dict[str, tuple[ModuleType, dict[str, Any]]]:
    common = {"pm2_home": str(root / "pm2"), "user": "root", "pm2": "/nowhere/pm2", "node": "/nowhere/node"}
    release = {**common, "service": "shop", "directory": str(root), "run_directory": str(root), "group": "root"}
    app = {key: value for key, value in APP.items() if key not in ("name", "cwd")}
    many = {**common, "config_file": str(root / "ecosystem.config.cjs")}
    return {
        "active_release, predicted": (active_release, {**release, "app": app, "_ansible_check_mode": True}),
        "active_release, failed": (active_release, {**release, "app": app}),
        "active_release, refused": (active_release, {**release, "app": app, "drain_time": "long"}),
        "active_release, not even an app": (active_release, {**release, "app": SECRET}),
        "pm2_app, predicted": (pm2_app, {**many, "apps": [APP], "_ansible_check_mode": True}),
        "pm2_app, failed": (pm2_app, {**many, "apps": [APP]}),
        "pm2_app, refused": (pm2_app, {**many, "apps": [APP], "state": "unknown"}),
        "pm2_app, not even an environment": (pm2_app, {**many, "apps": [{**APP, "env": SECRET}]}),
    }


@pytest.mark.parametrize("name", cases(Path("/")))
def test_neither_the_result_nor_the_journal_holds_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module, arguments = cases(tmp_path)[name]
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, log_args=None: logged.append(f"{text} {log_args}"))
    with (
        patch_module_args({**arguments, "_ansible_diff": True, "_ansible_inject_invocation": True}),
        pytest.raises(SystemExit),
    ):
        module.main()
    output = capsys.readouterr().out
    result = json.loads(output)
    assert "invocation" in result
    assert SECRET not in output
    assert SECRET not in "".join(logged)
    if "not even" not in name:
        assert "KEY" in json.dumps(result["invocation"])
