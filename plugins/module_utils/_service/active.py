# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which activation is active: the one that the link `active` leads to."""

from __future__ import annotations

from pathlib import Path

BUILD_LOCK = ".build.lock"
"""In the service's directory: root holds it while it fetches and builds a release."""
DEPLOY_LOCK = ".deploy.lock"
"""There, too: during an activation, or a removal of releases."""
PROCESS_LOCK = ".processes.lock"
"""And there: root holds it while it stops or exchanges what is active, or restarts its unit."""


def active_activation(link: str | Path) -> str | None:
    """Its name, `<release>` or `<release>@<number>`; None when none is active."""
    try:
        return Path(link).readlink().name or None
    except OSError:
        return None


def release_of(activation: str) -> str:
    """The release that it runs."""
    return activation.partition("@")[0]


def unit_of(template: str, activation: str | None) -> str:
    """The activation's unit, of a template such as `shop@.service`, "" for none; any other name stays as it is."""
    if "@." not in template:
        return template
    return template.replace("@.", f"@{activation}.") if activation else ""


def is_unfinished(link: str | Path) -> bool:
    """Whether there is another activation: a deployment is under way, or was killed before its end."""
    active = active_activation(link)
    try:
        return bool(active) and any(path.name != active for path in Path(link).readlink().parent.iterdir())
    except OSError:
        return False


def worker_socket(link: str | Path, instance: int) -> Path:
    """The socket of one worker of the active activation, by its number among the instances, from 0 on."""
    return Path(link) / f"{instance}.sock"
