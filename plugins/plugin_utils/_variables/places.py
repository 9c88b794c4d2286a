# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a variable's path on the controller is."""

from __future__ import annotations

import contextlib
from pathlib import Path


def controller_path(path: str, inventory_directory: str | None) -> str:
    """Return the absolute path that ``path`` stands for, "" for "".

    A relative one is taken from the inventory's directory, or from the working directory where only that has it. The
    playbook's directory, where Ansible would look, is inside of the installed collection. ``inventory_directory`` is
    Ansible's ``inventory_dir``, which a list of hosts after -i does not have.
    """
    if not path:
        return ""
    written = Path(path)
    with contextlib.suppress(RuntimeError):  # ~name, and nobody has that name
        written = written.expanduser()
    places = [Path(place) / written for place in (inventory_directory, Path.cwd()) if place]
    return str(next((place for place in places if place.exists()), places[0]))
