#!/usr/bin/python
# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compare
short_description: Tell what of the play a run would change on the host, by few questions
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Goes through the later tasks of the play, those of its roles too, as check mode does, with their own conditions,
    arguments and modules, and changes nothing. It does so in one process on the controller, and asks the host many
    questions at a time, each by the module of its task. So what a role declares is compared by the very task that
    would change it. A task that says C(check_mode=false) is run, as in check mode.
  - A later task is seen as if the earlier ones had changed nothing. Where nothing is found to differ, that is so; where
    something is, other differences that only follow from it may be missing.
  - Returns the C(differences), each with the C(role), the C(task), C(what) differs, and C(since) when as far as the
    times of files tell. What can't be compared, and what fails, is a difference as well. C(messages) is what the tasks
    say of a host on which nothing differs. C(questions) is how many were asked, C(rounds) in how many calls, C(seconds)
    how long all of it took, C(host_seconds) how long the host worked.
  - The tags of the run choose the tasks. Those beside this one in its file are left out, and so is a role of which a
    task imports a part.
extends_documentation_fragment: [workbot.stability.read_only, workbot.stability.internal]
options:
  first:
    description: Whether one difference is enough. Then no further ones are looked for.
    type: bool
    default: false
  before:
    description: What this has returned in an earlier play of the run; what it returns now is added to that.
    type: dict
    default: {}
  questions:
    description: Set by the controller's half alone.
    type: str
"""

EXAMPLES = r"""
- name: Compare the host with what is declared
  workbot.stability.compare:
  register: compared
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections import deque
from typing import Any, NoReturn

from ansible.module_utils import basic
from ansible_collections.workbot.stability.plugins.module_utils._acme import order
from ansible_collections.workbot.stability.plugins.module_utils._checks import argspec as checks
from ansible_collections.workbot.stability.plugins.module_utils._checks import external_service, host_conflicts
from ansible_collections.workbot.stability.plugins.module_utils._deploy import argspec as deployment
from ansible_collections.workbot.stability.plugins.module_utils._deploy import lease
from ansible_collections.workbot.stability.plugins.module_utils._deploy import run as deploy
from ansible_collections.workbot.stability.plugins.module_utils._host import host_files
from ansible_collections.workbot.stability.plugins.module_utils._net import download, requested_certificate
from ansible_collections.workbot.stability.plugins.module_utils._nginx import apply as nginx
from ansible_collections.workbot.stability.plugins.module_utils._nginx import options as nginx_options
from ansible_collections.workbot.stability.plugins.module_utils._nodejs import toolchain
from ansible_collections.workbot.stability.plugins.module_utils._pm2 import argspec as pm2
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import budget, database, server
from ansible_collections.workbot.stability.plugins.module_utils._postgresql.index import converge as indexes
from ansible_collections.workbot.stability.plugins.module_utils._release import job

# What the modules of the roles are made of: it goes to the host with this one, and is loaded once for all of them.
LOGIC = (
    budget,
    checks,
    database,
    deploy,
    deployment,
    download,
    external_service,
    host_conflicts,
    host_files,
    indexes,
    job,
    lease,
    nginx,
    nginx_options,
    order,
    pm2,
    requested_certificate,
    server,
    toolchain,
)


SPEC = {
    "first": {"type": "bool", "default": False},
    "before": {"type": "dict", "default": {}},
    "questions": {"type": "str", "no_log": True},
}


# Seconds that a module has. Without an answer there is a difference, and its task is run.
LONGEST = 120


def ask_all(questions: list[list[Any]], sources: dict[str, str]) -> list[dict[str, Any]]:
    """The answers, of as many modules at a time as the host has processors."""
    answers, asked = [], deque[tuple[int, int]]()
    for name, *more in questions:
        if len(asked) == (os.cpu_count() or 1):
            answers.append(answer_of(*asked.popleft()))
        asked.append(ask(name, sources[name], *more))
    return answers + [answer_of(*one) for one in asked]


def ask(name: str, source: str, arguments: dict[str, Any], flags: dict[str, bool]) -> tuple[int, int]:
    """Have a process of its own be the module of this source; it, and what it writes its answer to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        # whatever a strategy from elsewhere has put in its place
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST)
        run(name, source, arguments, flags)
    os.close(writing)
    return child, reading


def answer_of(child: int, reading: int) -> dict[str, Any]:
    """What the module answers."""
    with os.fdopen(reading, "rb") as answer:
        text = answer.read().decode(errors="replace")
    os.waitpid(child, 0)
    try:
        result: dict[str, Any] = json.loads(text)
    except ValueError:
        return {"failed": True, "msg": text.strip()[-500:] or "the module gave no answer"}
    result.pop("invocation", None)
    return {
        **result,
        "since": last_touched([*(result.get("changed_paths") or ()), *(result.get("changed_files") or ())]),
    }


def last_touched(paths: list[str]) -> str:
    """When something of what is there was last changed, its mode and owner included; "" where nothing is."""
    times = []
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(os.lstat(path).st_ctime)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(max(times))) if times else ""


def run(name: str, source: str, arguments: dict[str, Any], flags: dict[str, bool]) -> NoReturn:
    """Be that module, and end."""
    own = json.loads(basic._ANSIBLE_ARGS or b"{}")["ANSIBLE_MODULE_ARGS"]
    settings = {key: value for key, value in own.items() if key.startswith("_ansible_")}
    settings |= {"_ansible_diff": True, "_ansible_module_name": name}
    settings |= {f"_ansible_{key}": value for key, value in flags.items()}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {**settings, **arguments}}).encode()
    try:
        exec(compile(source, name, "exec"), {"__name__": "__main__"})
    except SystemExit:
        pass
    except BaseException:
        sys.stdout.write(traceback.format_exc())
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    module = basic.AnsibleModule(SPEC, supports_check_mode=True)
    asked, began = json.loads(module.params["questions"] or "{}"), time.monotonic()
    answers = ask_all(asked.get("questions") or [], asked.get("sources") or {})
    module.exit_json(changed=False, answers=answers, seconds=time.monotonic() - began)


if __name__ == "__main__":
    main()
