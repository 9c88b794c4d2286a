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
  - In a run in check mode the answer is the same, since C(ansible_check_mode) is false for what is compared.
  - Returns the C(differences), each with the C(role), the C(task), C(what) differs, and C(since) when as far as the
    times of files tell. What can't be compared, and what fails, is a difference as well. C(messages) is what the tasks
    say of a host on which nothing differs, C(told) what their modules return by this name, which no run changes.
    C(questions) is how many were asked, C(rounds) in how many calls, C(seconds)
    how long all of it took, C(host_seconds) how long the host worked.
  - The tags of the run choose the tasks. Those beside this one in its file are left out. A part of a role that a task
    of the play includes is gone through where the play has the role.
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
    description: Set by the controller's half alone, like the next two.
    type: str
  logic:
    description:
      - The digest of the logic that the questions' modules are made of. Where the host does not have it, C(missing) is
        returned.
    type: str
  archive:
    description: That logic, as a zip archive in base64.
    type: str
"""

EXAMPLES = r"""
- name: Compare the host with what is declared
  workbot.stability.compare:
  register: compared
"""

import base64
import contextlib
import gc
import io
import json
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from ansible.module_utils.urls import open_url

# What the modules' logic needs of Ansible's own besides `basic`.
NEEDED = (open_url,)

PLUGINS = "ansible_collections.workbot.stability.plugins"
_IMPORT = re.compile(rf"^from {re.escape(PLUGINS)}[.]\S+ import (?:\([^)]*\)|.+)$", re.MULTILINE)
# By a name that is no service's. /run is emptied at each boot: no power cut leaves half of what is here.
KEPT = Path("/run/workbot.stability")
# Seconds since its last use after which logic is removed, when other logic comes.
UNUSED = 24 * 3600

SPEC = {
    "first": {"type": "bool", "default": False},
    "before": {"type": "dict", "default": {}},
    "questions": {"type": "str", "no_log": True},
    "logic": {"type": "str"},
    "archive": {"type": "str", "no_log": True},
}


# Seconds that a module has. Without an answer there is a difference, and its task is run.
LONGEST = 120


def logic_of(module: AnsibleModule) -> Path | None:
    """Where the modules' logic is: kept by an earlier call, or out of the archive; None where there is neither."""
    place, archive = KEPT / str(module.params["logic"]), module.params["archive"]
    with contextlib.suppress(OSError):
        require_own()
        os.utime(place)
        return place
    if not archive:
        return None
    try:
        keep(archive, place)
    except OSError:
        # /run is full, not this user's, or another run was first.
        place = Path(module.tmpdir)
        unpack(archive, place)
    return place


def require_own() -> None:
    """Raises OSError where the directory is not there, or others may write in it."""
    status = KEPT.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(f"{KEPT} is not this user's own")


def keep(archive: str, place: Path) -> None:
    """Put the logic there, complete, and remove what has not been used for long. Raises OSError.

    What is removed has another name before: a run that is killed leaves no part of it where a later one looks.
    """
    KEPT.mkdir(mode=0o700, exist_ok=True)
    require_own()
    with tempfile.TemporaryDirectory(dir=KEPT) as name:
        fresh = Path(name)
        for other in KEPT.iterdir():
            if other.stat().st_mtime < time.time() - UNUSED:
                other.rename(fresh / other.name)
        unpack(archive, fresh / "logic")
        (fresh / "logic").rename(place)


def unpack(archive: str, place: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as packed:
        packed.extractall(place)


@contextlib.contextmanager
def loaded(place: Path, sources: Iterable[str]) -> Iterator[None]:
    """Have what the modules of these sources are made of imported, once for all questions.

    Under mitogen the process goes on with other modules, which are made of what the controller sends.
    """
    before = {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith(PLUGINS)}
    plugins = sys.modules[PLUGINS] = ModuleType(PLUGINS)
    plugins.__path__ = [str(place)]
    try:
        for statement in sorted({statement for source in sources for statement in _IMPORT.findall(source)}):
            exec(statement, {})
        yield
    except Exception:
        # A file that was cut short, for example: the next run is sent all of it.
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        for name in [name for name in sys.modules if name.startswith(PLUGINS)]:
            del sys.modules[name]
        sys.modules.update(before)


def answers_to(asked: dict[str, Any], place: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What the modules answer, and how many seconds that took."""
    began, sources = time.monotonic(), asked.get("sources") or {}
    with loaded(place, sources.values()):
        answers = ask_all(asked.get("questions") or [], sources, settings)
    return {"answers": answers, "seconds": time.monotonic() - began}


def ask_all(questions: list[list[Any]], sources: dict[str, str], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers, of as many modules at a time as the host has processors."""
    answers, asked = [], deque[tuple[int, int]]()
    for name, arguments, flags in questions:
        if len(asked) == (os.cpu_count() or 1):
            answers.append(answer_of(*asked.popleft()))
        asked.append(ask(name, sources[name], arguments, flags, settings))
    return answers + [answer_of(*one) for one in asked]


def ask(
    name: str, source: str, arguments: dict[str, Any], flags: dict[str, bool], settings: dict[str, Any]
) -> tuple[int, int]:
    """Have a process of its own be the module of this source; it, and what it writes its answer to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # It ends soon and gives all back; to collect would only copy the memory that it shares with the others.
        gc.disable()
        os.dup2(writing, 1)
        # whatever a strategy from elsewhere has put in its place
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST)
        run(name, source, arguments, flags, settings)
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


def settings_of(module: AnsibleModule) -> dict[str, Any]:
    """What the run has told this module of itself, for the others."""
    known = {name: (getattr(module, attribute), usual) for name, (attribute, usual) in PASS_VARS.items()}
    return {name: value for name, (value, usual) in known.items() if value != usual} | {"diff": True}


def run(
    name: str, source: str, arguments: dict[str, Any], flags: dict[str, bool], settings: dict[str, Any]
) -> NoReturn:
    """Be that module, and end."""
    given = {f"_ansible_{key}": value for key, value in {**settings, "module_name": name, **flags}.items()}
    try:
        # Ansible has it for tests, and no other way to be a module.
        with patch_module_args({**given, **arguments}):
            exec(compile(source, name, "exec"), {"__name__": "__main__"})
    except SystemExit:
        pass
    except BaseException:
        sys.stdout.write(traceback.format_exc())
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    module = AnsibleModule(SPEC, supports_check_mode=True)
    place = logic_of(module)
    asked = json.loads(module.params["questions"] or "{}")
    found = answers_to(asked, place, settings_of(module)) if place else {"missing": True}
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
