# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the host: asks health through Nginx several times a second, and reads what the watchdog says of itself.

One JSON line for each question, when it is answered or given up. Ends when its input does.
"""

import http.client
import json
import os
import pathlib
import sys
import threading
import time

PERIOD, TIMEOUT = 0.2, 2.0
STATUS = pathlib.Path(f"/run/{sys.argv[1]}-watchdog/status.json")


def ask():
    """What is wrong with the answer; empty when nothing is. Every question has a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=TIMEOUT)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        status = json.loads(answer.read()).get("status")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 and status in ("ok", "warning") else f"status {answer.status}, {status}"


def state():
    """The watchdog's word; empty while it says nothing."""
    try:
        return json.loads(STATUS.read_text(encoding="utf-8"))["state"]
    except (OSError, ValueError, KeyError):
        return ""


def sample():
    sent = time.time()
    wrong = ask()
    line = {"sent": sent, "took": round(time.time() - sent, 3), "wrong": wrong, "state": state()}
    # one write, so that lines of two threads never mix
    os.write(1, json.dumps(line).encode() + b"\n")


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
while True:
    threading.Thread(target=sample, daemon=True).start()
    time.sleep(PERIOD)
