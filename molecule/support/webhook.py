# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A receiver of webhooks: python3 webhook.py PORT DIRECTORY. What it is sent is a line of DIRECTORY/PORT.jsonl.

A file DIRECTORY/PORT.status has the status that it answers, one named DIRECTORY/PORT.delay the seconds before it does.
"""

from __future__ import annotations

import http.server
import json
import sys
import time
from pathlib import Path

PORT, DIRECTORY = int(sys.argv[1]), Path(sys.argv[2])


def setting(name: str, otherwise: float) -> float:
    try:
        return float((DIRECTORY / f"{PORT}.{name}").read_text(encoding="ascii"))
    except FileNotFoundError:
        return otherwise


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._answer({})

    def log_message(self, *_arguments: object) -> None:
        """Nothing to the journal: a path may be a secret."""

    def _answer(self, content: dict[str, str]) -> None:
        time.sleep(setting("delay", 0))
        status = int(setting("status", 200))
        line = {"method": self.command, "path": self.path, "status": status, **content}
        with (DIRECTORY / f"{PORT}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
