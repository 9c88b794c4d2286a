# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The `<service>-report` command: one page that says how the service is and how it went, for people."""

from __future__ import annotations

import argparse
import datetime
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..._host.atomic import point, save
from ..._host.console import answer, run_command
from ..codes import LANGUAGES
from ..common import attempt, load_settings
from ..records import decode
from .facts import Settings, gather
from .page import Page

_MODE = 0o640
_NAME = "report.html"
_DATED = re.compile(r"report-(\d{4}-\d{2}-\d{2})\.html")


def main(config: str, arguments: Sequence[str] | None = None) -> int:
    """Write the report and say where it is; returns the exit status."""
    options = _parse(arguments, config)

    def command() -> int:
        settings = load_settings(Path(options.config), lambda content: decode(Settings, content), "root")
        page = Page(gather(settings), options.language or settings.language).render()
        today = datetime.datetime.now().astimezone().date()
        answer(str(keep(Path(settings.directory), page, today, settings.keep_days)))
        return os.EX_OK

    return attempt(command, options.config)


def run(config: str) -> None:
    """The entry point."""
    run_command(lambda: main(config))


def keep(directory: Path, page: str, today: datetime.date, days: int) -> Path:
    """The link to the report of today; those of the last `days` are kept. Raises OSError."""
    path, link = directory / f"report-{today}.html", directory / _NAME
    save(path, page.encode("utf-8", "replace"), _MODE, (0, directory.stat().st_gid))
    point(link, Path(path.name))
    oldest = today - datetime.timedelta(days=days)
    for old in directory.iterdir():
        if (match := _DATED.fullmatch(old.name)) and match[1] <= str(oldest):
            old.unlink()
    return link


def _parse(arguments: Sequence[str] | None, config: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write the report of the service, one page for a browser. Run it as root."
    )
    parser.add_argument("--language", choices=LANGUAGES, help="of the page (default: what the settings say)")
    parser.add_argument("--config", default=config, help="settings file (default: %(default)s)")
    return parser.parse_args(arguments)
