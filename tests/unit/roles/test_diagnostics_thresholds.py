# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The thresholds of the diagnosis stand in one place: its checks use each, and the document has their values."""

from __future__ import annotations

import re

import pytest
import yaml
from places import ROOT

VARIABLES = yaml.safe_load((ROOT / "roles/diagnostics/vars/main.yml").read_text(encoding="utf-8"))
THRESHOLDS = VARIABLES["__diagnostics_thresholds"]
DOCUMENT = (ROOT / "docs/diagnosis.md").read_text(encoding="utf-8")
CHECKS = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "plugins/module_utils/_programs/diagnose").rglob("*.py")
)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_is_used_and_documented_with_its_values(name: str) -> None:
    assert f'"{name}"' in CHECKS
    levels = THRESHOLDS[name]
    assert re.search(rf"^\|.*`{name}`[^|;]* {levels['warning']}, {levels['critical']}\b", DOCUMENT, re.MULTILINE)
