# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible gets of a module has nothing that a terminal obeys, and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.workbot.stability.plugins.module_utils._host.module import Module

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b2J\u202e\r\udc9b"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b2J\u202e\r\udc9b"
WARNS = f"""
import json, sys
from ansible.module_utils.testing import patch_module_args
from {Module.__module__} import Module
with patch_module_args({{}}):
    module = Module({{}})
    module.warn(json.loads(sys.argv[1]))
    module.exit_json()
"""
KEPT = "two lines\n\tand a tab, Grüße, 你好"


def result_of(capsys: pytest.CaptureFixture[str], end: Callable[[Module], None], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        end(Module({"key": {"type": "str", "no_log": True}}))
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    found = result_of(capsys, lambda module: module.fail_json(HOSTILE + KEPT, serves=HOSTILE))
    assert (found["failed"], found["msg"], found["serves"]) == (True, SHOWN + KEPT, SHOWN)


def test_a_success_with_a_diff(capsys: pytest.CaptureFixture[str]) -> None:
    def end(module: Module) -> None:
        module.exit_json(changed=True, count=7, diff=[{"before": HOSTILE, "after": KEPT}], names={HOSTILE: (HOSTILE,)})

    found = result_of(capsys, end)
    assert found["changed"] is True
    assert found["count"] == 7
    assert found["diff"] == [{"before": SHOWN, "after": KEPT}]
    assert found["names"] == {SHOWN: [SHOWN]}


def test_a_warning() -> None:
    """In a process of its own, as on a host: where a controller's plugins are loaded Ansible prints it at once."""
    run = [sys.executable, "-c", WARNS, json.dumps(HOSTILE)]
    found = json.loads(subprocess.check_output(run, text=True))
    assert SHOWN in json.dumps(found["warnings"]).replace(r"\\", "\\")


@pytest.mark.parametrize("key", ["a plain secret", "one with \x1b in it"])
def test_no_secret(capsys: pytest.CaptureFixture[str], key: str) -> None:
    def end(module: Module) -> None:
        module.warn(f"before {key} after")
        module.fail_json(f"before {key} after")

    found = result_of(capsys, end, key=key)
    assert found["msg"].startswith("before *")
    assert "secret" not in json.dumps(found)
    assert "in it" not in json.dumps(found)
