# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the running kernel, by the names that sysctl has for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import StabilityError

_ROOT = Path("/proc/sys")


@dataclass(frozen=True)
class Setting:
    """A setting that has another value than it should have."""

    name: str
    now: str
    desired: str
    path: Path

    def lines(self) -> tuple[str, str]:
        """What it is and what it will be."""
        return f"{self.name} = {self.now}\n", f"{self.name} = {self.desired}\n"

    def make(self) -> None:
        """Raises StabilityError."""
        try:
            self.path.write_text(f"{self.desired}\n", encoding="utf-8")
        except OSError as error:
            raise StabilityError(self.refusal()) from error

    def refusal(self) -> str:
        return (
            f"{self.name} is {self.now}; expected {self.desired}. It can't be set from here (a container has the"
            f" kernel of its machine). On that machine: sysctl -w {self.name}={self.desired}. Nothing was changed."
        )


def differing(desired: Mapping[str, str], root: Path = _ROOT) -> list[Setting]:
    """The settings that have another value. Raises StabilityError for those that can't be set from here."""
    found = []
    for name, value in desired.items():
        path = root / name.replace(".", "/")
        try:
            now = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StabilityError(f"{name}: the kernel of this host has no such setting: {error.strerror}") from error
        if now == str(value):
            continue
        setting = Setting(name, now, str(value), path)
        if not os.access(path, os.W_OK):
            raise StabilityError(setting.refusal())
        found.append(setting)
    return found
