# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the capacity plan that adds up the disk: logs (rate x retention), releases, dumps, what may wait for the
archive of the backups, what is reserved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .core import Plan
from .desired import size_mb
from .parts import Part, Settings, advise, mount_of

# Of what a log had, when it is compressed; JSON lines measured a twentieth to a tenth.
COMPRESSED = 0.1
# Debian's policy for /var/log/nginx: daily, 14 of them, all but the newest compressed.
NGINX_FILES = 14
# Logs of PM2, the monitor, the recovery and the diagnosis, and the latter's reports.
OTHER_LOGS_MB = 100
# Node.js, npm, pnpm and PM2 with their caches, and the set before them.
TOOLCHAIN_MB = 600
SYSTEM_MB = 2048
RELEASE_MB = 300
_HOURS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 720}
_VARIABLES = (
    "service_log_volume",
    "service_release_size",
    "service_reserved_disk",
    "release_keep",
    "logrotate_rotate",
    "logrotate_maxsize",
    "backup_wal_limit",
)


@dataclass(frozen=True)
class LogPolicy:
    """How a log is rotated. ``volume_mb`` is what it grows by in a day."""

    volume_mb: int
    maxsize_mb: int
    rotate: int
    frequency: str = "daily"
    hourly: bool = True
    compress: bool = True
    delay: bool = True

    @property
    def file_mb(self) -> int:
        """The size that a file has when it is rotated: by its time or its size, when somebody looks."""
        hours, looks = _HOURS[self.frequency], 1 if self.hourly else 24
        by_time = self.volume_mb * hours / 24
        by_size = max(self.maxsize_mb, self.volume_mb * looks / 24)
        return max(1, math.ceil(min(by_time, by_size)))

    @property
    def days(self) -> float:
        return self.rotate * self.file_mb / max(1, self.volume_mb)

    @property
    def disk_mb(self) -> int:
        """The live file, the rotated ones, and the newest of these uncompressed where that is delayed."""
        plain = self.rotate if not self.compress else min(self.rotate, int(self.delay))
        return math.ceil(self.file_mb * (1 + plain + (self.rotate - plain) * COMPRESSED))

    def arithmetic(self) -> str:
        small = f", compressed to {COMPRESSED:.0%}" if self.compress else ""
        return f"{self.volume_mb}M a day: 1 + {self.rotate} files of {self.file_mb}M{small}, {self.days:.1f} days"


def disk_part(core: Plan, settings: Settings) -> Part:
    part = Part("disk")
    if not settings.has("service_log_volume", "service_release_size", "service_reserved_disk"):
        return part
    _add_items(part, core, settings)
    needed = sum(size_mb(row.value) for row in part.rows)
    line = f"{' + '.join(f'{row.value} {row.name}' for row in part.rows)} = {needed}M"
    # The logs are mostly on it, too.
    mount = mount_of(settings.mounts, str(settings.values.get("service_directory", "/")))
    if mount is None:
        part.row("all", f"{needed}M", "sum", "the host's facts do not say of how much")
        return part
    total = int(mount["size_total"]) // (1024 * 1024)
    disk = f"of {total}M on {mount['mount']}"
    part.row("all", f"{needed}M", "sum", disk)
    if needed > total:
        alone = settings.mb("service_reserved_disk") > total
        blamed = next((name for name in _VARIABLES if settings.is_set(name)), "")
        blamed = "service_reserved_disk" if alone else blamed
        if blamed:
            part.refuse(blamed, f"not enough disk: {line}, {disk}. {_advice(core, settings, needed - total)}")
        else:
            part.notes.append(
                f"the disk may be too small: {line}, {disk}. service_log_volume and service_release_size say more"
            )
    return part


def log_policy(settings: Settings) -> LogPolicy | None:
    """Return how the service's own log is rotated; None where the play does not have that role."""
    if not settings.has("logrotate_rotate", "logrotate_maxsize"):
        return None
    values, maxsize = settings.values, settings.mb("logrotate_maxsize")
    return LogPolicy(
        volume_mb=_volume(settings) or maxsize,
        maxsize_mb=maxsize,
        rotate=settings.number("logrotate_rotate"),
        frequency=str(values.get("logrotate_frequency", "daily")),
        hourly=bool(values.get("logrotate_hourly", True)),
        compress=bool(values.get("logrotate_compress", True)),
        delay=bool(values.get("logrotate_delaycompress", True)),
    )


def _volume(settings: Settings) -> int:
    """Return what the user says that the log grows by in a day, 0 when he does not."""
    return 0 if settings.values["service_log_volume"] == "auto" else settings.mb("service_log_volume")


def _add_items(part: Part, core: Plan, settings: Settings) -> None:
    row = part.row
    policy = log_policy(settings)
    if policy:
        origin = settings.origin("service_log_volume", "chosen")
        row("logs of the service", f"{policy.disk_mb}M", origin, policy.arithmetic())
        if settings.has("nginx_port"):
            nginx = LogPolicy(policy.volume_mb, policy.volume_mb, NGINX_FILES, hourly=False)
            row("logs of Nginx", f"{nginx.disk_mb}M", "chosen", nginx.arithmetic())
        row("other logs", f"{OTHER_LOGS_MB}M", "chosen", "PM2, monitor, recovery, diagnosis")
    if settings.has("release_keep"):
        keep, each = settings.number("release_keep"), _release_mb(settings)
        arithmetic = f"({keep} kept + 1 that is made) x {each}M"
        row("releases", f"{(keep + 1) * each}M", settings.origin("release_keep"), arithmetic)
        row("toolchains", f"{TOOLCHAIN_MB}M", "chosen", "Node.js, npm, pnpm, PM2: the active set and the next")
    if core.heap_limit_mb:
        row("a heap dump", f"{core.heap_limit_mb}M", "chosen", "one, as large as the heap limit")
    if waiting := _waiting_mb(core, settings):
        origin = settings.origin("backup_wal_limit")
        row("changes for the archive", f"{waiting}M", origin, "what may wait for a repository that does not answer")
    row("system", f"{SYSTEM_MB}M", "chosen", "Debian and its packages")
    if reserved := settings.mb("service_reserved_disk"):
        row("reserved", f"{reserved}M", "set", "the database, its dumps, drills, other programs")


def _waiting_mb(core: Plan, settings: Settings) -> int:
    """Return how much of the server's changes may wait, 0 where it has no backups or nothing is given up."""
    values, desired = settings.values, core.desired
    has_server = desired.database and desired.database_is_local
    is_wanted = values.get("backup_directory") or values.get("backup_s3_bucket")
    if not (has_server and is_wanted and settings.has("backup_wal_limit")) or values.get("backup_removed"):
        return 0
    return settings.mb("backup_wal_limit")


def _release_mb(settings: Settings) -> int:
    return RELEASE_MB if settings.values["service_release_size"] == "auto" else settings.mb("service_release_size")


def _advice(core: Plan, settings: Settings, short: int) -> str:
    """Return what would make ``short`` MB of room: fewer releases, rotated files, changes that wait, reserves."""
    ways = [_fewer_releases(settings, short), _fewer_files(settings, short)]
    waiting, reserved = _waiting_mb(core, settings), settings.mb("service_reserved_disk")
    if waiting > short:
        ways.append(f"backup_wal_limit to {waiting - short}M")
    if reserved >= short:
        ways.append(f"service_reserved_disk to {f'{reserved - short}M' if reserved > short else 0}")
    ways = [way for way in ways if way]
    return advise(*ways) if ways else f"The disk needs {short}M more"


def _fewer_releases(settings: Settings, short: int) -> str:
    if not settings.has("release_keep"):
        return ""
    keep = settings.number("release_keep") - math.ceil(short / _release_mb(settings))
    return f"release_keep to {keep}" if keep >= 1 else ""


def _fewer_files(settings: Settings, short: int) -> str:
    policy = log_policy(settings)
    if policy is None:
        return ""
    each = policy.file_mb * (COMPRESSED if policy.compress else 1.0)
    rotate = policy.rotate - math.ceil(short / each)
    return f"logrotate_rotate to {rotate}" if rotate >= 1 else ""
