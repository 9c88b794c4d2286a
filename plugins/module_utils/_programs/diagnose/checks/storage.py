# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the diagnosis looks at around the service: logs, disk space, and the backups of its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...._checks.backup import judge_files
from ...._checks.findings import CRITICAL, OK, WARNING, Finding, Thresholds, judge_share, judge_value
from ...._host.disk import used_percent
from ...backup_record import begun_at, load_record
from ..runner import Context
from ..samples import per_hour

_MB = 1024 * 1024
_DAY = 86400
# A burst of some minutes, as at a deployment, is nothing that fills a disk.
_SHORTEST_GROWTH = 1800.0


def check_logs(context: Context) -> list[Finding]:
    """Size, growth and rotation of every *.log of the service, and of those that it writes elsewhere."""
    section = context.section("logs")
    directory = Path(section["directory"])
    try:
        files = sorted(path for path in directory.glob("*.log") if path.is_file() and not path.is_symlink())
    except OSError as error:
        return [Finding("logs", CRITICAL, f"{directory}: {error.strerror}. The service can't write its logs there.")]
    if not directory.is_dir():
        message = f"{directory} is not there: the service can't write its logs. Apply the playbook."
        return [Finding("logs", CRITICAL, message)]
    files += [path for pattern in section.get("external_logs", ()) for path in _matching(pattern)]
    findings = [finding for path in files for finding in _judge_log(context, path, section)]
    return findings or [Finding("logs", OK, f"{directory} has no log yet", 0, None, "files")]


def _matching(pattern: str) -> list[Path]:
    """The files of an absolute pattern."""
    found = sorted(Path("/").glob(pattern.lstrip("/")))
    return [path for path in found if path.is_file() and not path.is_symlink()]


def _judge_log(context: Context, path: Path, section: Mapping[str, Any]) -> list[Finding]:
    try:
        info = path.stat()
    except OSError:
        return []  # rotated away this moment
    grown = _growth(context, path, info)
    findings = [_judge_size(context, path, info.st_size, grown)]
    sample = context.samples.record(f"log.{path}", str(info.st_ino), info.st_size, context.now)
    age = (context.now - sample.since) / _DAY
    if info.st_size and age > float(section["rotation_days"]):
        unit = _rotation(context)
        message = f"{path} was not rotated for {age:.1f} days. Run `systemctl start {unit}` and see its journal."
        findings.append(
            Finding(f"logs.rotation.{path.name}", WARNING, message, round(age, 1), section["rotation_days"], "days")
        )
    return findings


def _growth(context: Context, path: Path, info: os.stat_result) -> float | None:
    """Bytes an hour since an earlier look; what went into the file that was rotated meanwhile counts too."""
    before = context.samples.baseline(f"grown.{path}", str(info.st_ino), info.st_size, context.now, _SHORTEST_GROWTH)
    if before is None:
        return None
    grown = info.st_size - before.value
    if before.identity != str(info.st_ino):
        grown += max(before.value, _size_of_inode(path.parent, before.identity))
    elif grown < 0:
        grown = info.st_size  # emptied in place
    return per_hour(grown, context.now - before.time)


def _size_of_inode(directory: Path, inode: str) -> int:
    with os.scandir(directory) as entries:
        for entry in entries:
            if str(entry.inode()) == inode:
                return entry.stat(follow_symlinks=False).st_size
    return 0


def _rotation(context: Context) -> str:
    """The unit that rotates the service's logs."""
    return f"logrotate-{context.config['service']}"


def _judge_size(context: Context, path: Path, size: int, grown: float | None) -> Finding:
    sizes, growth = context.thresholds("log_size_mb"), context.thresholds("log_growth_mb_per_hour")
    check, size_mb = f"logs.{path.name}", size / _MB
    shown = f"{size_mb:.1f} MB" + (f", growing {grown / _MB:.1f} MB an hour" if grown is not None else "")
    rate = round((grown or 0.0) / _MB, 1)
    if growth.status(rate) != OK:
        advice = f"Set the log level to info or find what repeats: `tail {path}`."
        return judge_value(check, rate, growth, shown, advice, unit="MB/h")
    advice = f"Rotate it (`systemctl start {_rotation(context)}`) and see what fills {path}."
    return judge_value(check, round(size_mb, 1), sizes, shown, advice, unit="MB")


def check_disk(context: Context) -> list[Finding]:
    """Space and inodes of the file systems that the service lives on, each once."""
    section = context.section("disk")
    thresholds = context.thresholds("disk_percent")
    findings: list[Finding] = []
    devices = set()
    for path in section["paths"]:
        try:
            device = Path(path).stat().st_dev
            usage = os.statvfs(path)
        except OSError as error:
            findings.append(Finding(f"disk.{path}", CRITICAL, f"{path}: {error.strerror}. Apply the playbook."))
            continue
        if device not in devices:
            devices.add(device)
            findings += judge_disk(path, usage, thresholds)
    return findings


def judge_disk(path: str, usage: os.statvfs_result, thresholds: Thresholds) -> list[Finding]:
    """Space as `df` would say it, and inodes."""
    free_mb = usage.f_bavail * usage.f_frsize / _MB
    percent = used_percent(usage)
    advice = f"Free space, beginning with old releases and logs: `du -xh {path} | sort -h | tail`."
    findings = [judge_share(f"disk.{path}", percent, thresholds, f"{free_mb:.0f} MB free; used", advice)]
    if usage.f_files:  # file systems such as btrfs have no fixed number
        inodes = 100 * (1 - usage.f_ffree / usage.f_files)
        advice = "Too many small files: find the directory that holds them."
        findings.append(judge_share(f"disk.inodes.{path}", inodes, thresholds, "inodes used", advice))
    return findings


def check_files(context: Context) -> list[Finding]:
    """What the host has recorded of the backups of the service's files."""
    section = context.config.get("files") or {}
    if not section.get("record"):
        return []
    path = Path(section["record"])
    try:
        begun = begun_at(path)
    except OSError as error:
        return [Finding("files", WARNING, f"{path.parent}: {error.strerror}. Apply the playbook.")]
    return list(judge_files(load_record(path), begun, context.now, section["command"]))
