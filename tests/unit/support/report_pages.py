# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of a simulated service, for `make pictures`: python report_pages.py DIRECTORY."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ansible_collections.workbot.stability.plugins.module_utils._programs.codes import LANGUAGES
from ansible_collections.workbot.stability.plugins.module_utils._programs.report.page import Page
from simulated_service import facts, filled


def main(directory: Path) -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    history = directory / "history.db"
    history.unlink(missing_ok=True)
    known = facts(filled(history))
    for language in LANGUAGES:
        (directory / f"report-{language}.html").write_text(Page(known, language).render(), encoding="utf-8")


main(Path(sys.argv[1]))
