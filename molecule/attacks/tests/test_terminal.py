# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service calls its files and writes into its logs is shown to root, and does not work root's terminal."""

from __future__ import annotations

import json
import time

import pytest
from attacks import HOSTILE, Attacker
from testinfra.host import Host

# Sets a terminal's title, clears it, and in eight bits what the second does in seven; turns what follows around.
SEQUENCES = "\x1b]0;title\x07\x1b[2J\x9b2J\u202e"
SHOWN = r"\x1b]0;title\x07\x1b[2J\x9b2J\u202e"
MONITOR_LOG = f"/var/log/{HOSTILE}/monitor.log"


def assert_plain(output: str) -> None:
    assert [letter for letter in output.replace("\n", "") if not letter.isprintable()] == []


def test_the_name_of_a_log(host: Host, attacker: Attacker) -> None:
    path = f"/var/log/{HOSTILE}/attacks-{SEQUENCES}\nok        forged.log"
    attacker.run('echo line > "$1"', path)
    try:
        shown = host.run(f"{HOSTILE}-diagnose --check logs").stdout
        assert f"attacks-{SHOWN}\\nok        forged.log" in shown
        assert_plain(shown)
    finally:
        attacker.run('rm "$1"', path)


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_line_of_the_log_that_history_shows(host: Host, attacker: Attacker, option: str) -> None:
    key = f"attacks.{SEQUENCES}"
    told = {"kind": "action", "key": key, "code": "x", "message": f"{SEQUENCES}\nforged", "time": time.time() + 3600}
    lines = [
        told,
        *({**told, "time": when} for when in (10**400, float("inf"), float("nan"), "now", [])),
        ["attacks"],
        {"attacks": 1},
    ]
    # as it is in a log of the watchdog, and as only a hostile one writes it
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + '\n{"kind": "attacks.\n'
    attacker.run(f'printf %s "$1" >> {MONITOR_LOG}', text)
    try:
        shown = host.check_output(f"{HOSTILE}-watchdog history --count 3 {option}")
        assert_plain(shown)
        last = shown.splitlines()[-1]
        assert (json.loads(last)["key"] == key) if option else (f"attacks.{SHOWN}: {SHOWN}\\nforged" in last)
    finally:
        attacker.run(f"sed -i /attacks/d {MONITOR_LOG}")
