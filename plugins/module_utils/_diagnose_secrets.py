# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis says about secrets: what the workers that run now have, not what a file says they should."""

from __future__ import annotations

from pathlib import Path

from ._diagnose_run import Context
from ._findings import WARNING, Finding
from ._pm2_client import Pm2Error
from ._secret_check import SecretReader, SecretRules, judge_secrets

# An estimate; a random secret of 32 hexadecimal digits has about 110.
_LEAST_BITS = 64


def check_secrets(context: Context) -> list[Finding]:
    section = context.section("secrets")
    names, length = section["required"], int(section["min_length"])
    reader = SecretReader(names, length)
    declared = reader.file(Path(section["file"]))
    findings = []
    try:
        running = [process for process in context.pm2() if process.online and process.pid]
    except Pm2Error:
        running = []
        message = "which processes run is not known while PM2 does not answer: only the file was looked at"
        findings.append(Finding("secrets.processes", WARNING, f"{message}. See the check processes."))
    holders = [reader.process(f"worker {process.pm_id}", process.pid or 0) for process in running]
    rules = SecretRules(names, length, _LEAST_BITS, context.config["user"])
    return findings + judge_secrets(rules, holders, declared)
