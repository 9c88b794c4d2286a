# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory as a repository, with a program in the place of pgBackRest; the scenario fleet has the real one.

A backup of stanza `broken` fails, one of `slow` takes a few seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._postgresql import pgbackrest
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup.settings import Settings
from ansible_collections.workbot.stability.plugins.module_utils._programs.backup_repository import cli

SLOW_SECONDS = 3.5


def settings_below(home: Path) -> Settings:
    """Of a server that does not run, all of whose files are there."""
    return Settings("shop", "17", 1, str(home / "main"), str(home / "restored"), str(home), 2, 3, 7, 7, 0)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "pgbackrest"
    program.write_text(f"""#!/bin/sh
for file; do :; done
case "$*" in
  *' repo-put '*) cat > {tmp_path}/$file.tmp && mv {tmp_path}/$file.tmp {tmp_path}/$file ;;
  *' repo-get '*) cat {tmp_path}/$file || exit 1 ;;
  *' server') exec {tmp_path}/server ;;
  *' backup')
    echo "$@" >> {tmp_path}/called
    case "$*" in
      *=broken*) echo 'ERROR: [056]: unable to find primary cluster' >&2; exit 56 ;;
      *=slow*) sleep {SLOW_SECONDS} ;;
    esac ;;
esac
""")
    (tmp_path / "server").write_text("#!/bin/sh\nexec sleep 60\n")
    for name in ("pgbackrest", "server"):
        (tmp_path / name).chmod(0o755)
    for name in ("requests", "answers"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(pgbackrest, "PROGRAM", str(program))
    monkeypatch.setattr(cli, "HEARTBEAT_SECONDS", 0.1)
    return tmp_path


def called(repository: Path) -> list[str]:
    """The stanza and the kind of each backup that was begun."""
    file = repository / "called"
    lines = file.read_text().splitlines() if file.exists() else []
    return [f"{words[0].removeprefix('--stanza=')} {words[-2]}" for words in map(str.split, lines)]
