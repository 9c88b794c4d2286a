# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service stands on: PostgreSQL by postgres_exporter, the host by node_exporter."""

from __future__ import annotations

from .parts import (
    BANDWIDTH,
    BYTES,
    COUNT,
    OPERATIONS,
    ORANGE,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    Panel,
    graph,
    here,
    rate,
)

FULL = ((0.8, YELLOW), (0.95, RED))


def postgresql() -> list[Panel]:
    return [
        graph(
            "Connections",
            "By database. Near the limit new ones are refused: the capacity plan divides it among the workers' pools.",
            COUNT,
            {
                "{{datname}}": f"sum by (datname) ({_database('numbackends')})",
                "limit": f"max({_server('settings_max_connections')})",
            },
            stacked=True,
        ),
        graph(
            "Pools of the workers",
            "Connections in the workers' pools, by their health answers; 0 where these do not say it. Requests that "
            "wait: transactions are too long, or the pool is too small for the plan.",
            COUNT,
            {
                "in use": _pools("connections") + " - " + _pools("connections_idle"),
                "idle": _pools("connections_idle"),
                "waiting": _pools("waiting_requests"),
                "limit": _pools("connections_limit"),
            },
            colours={"waiting": ORANGE},
        ),
        graph(
            "Transactions",
            "Rollbacks are errors of the application or of its data: see `/var/log/$service/error.log`. Deadlocks "
            "are in PostgreSQL's log, with both statements.",
            OPERATIONS,
            {
                "commits": f"sum({rate(_database('xact_commit'))})",
                "rollbacks": f"sum({rate(_database('xact_rollback'))})",
                "deadlocks": f"sum({rate(_database('deadlocks'))})",
            },
            colours={"rollbacks": YELLOW, "deadlocks": RED},
        ),
        graph(
            "Longest transaction",
            "A long one keeps old rows and locks. The diagnosis names those that block others.",
            SECONDS,
            {
                "longest": f"max({_server('long_running_transactions_oldest_timestamp_seconds')})"
                f" or max({_server('stat_activity_max_tx_duration')})"
            },
            ((300, RED),),
        ),
        graph(
            "Reads from memory",
            "Share of the blocks that were in PostgreSQL's own cache. Below 0.95 for long: an index is missing, or "
            "`shared_buffers` is small.",
            SHARE,
            {
                "{{datname}}": f"sum by (datname) ({rate(_database('blks_hit'))}) / sum by (datname) "
                f"({rate(_database('blks_hit'))} + {rate(_database('blks_read'))}) >= 0"
            },
        ),
        graph(
            "Rows",
            "Read is what statements have looked at, by index what an index has found of it. Far more is read: a table "
            "is read from end to end.",
            OPERATIONS,
            {
                "read": f"sum({rate(_database('tup_returned'))})",
                "by index": f"sum({rate(_database('tup_fetched'))})",
                "inserted": f"sum({rate(_database('tup_inserted'))})",
                "updated": f"sum({rate(_database('tup_updated'))})",
                "deleted": f"sum({rate(_database('tup_deleted'))})",
            },
        ),
        graph(
            "Size",
            "Of each database. Growth without growth of data: tables that are never vacuumed.",
            BYTES,
            {"{{datname}}": _server("database_size_bytes", _DATABASES)},
            width=12,
        ),
        graph(
            "Temporary files",
            "What sorts and joins write because `work_mem` is too small for them, or because an index is missing.",
            BANDWIDTH,
            {"{{datname}}": f"sum by (datname) ({rate(_database('temp_bytes'))})"},
            width=12,
        ),
    ]


def host() -> list[Panel]:
    return [
        graph(
            "CPU of the host",
            "Of all cores. Near 1 all on the host is slow; steal is what the machine below takes away.",
            SHARE,
            {
                "{{instance}}": f"1 - avg by (instance) ({rate(_host('cpu_seconds_total', _IDLE))})",
                "{{instance}} steal": f"avg by (instance) ({rate(_host('cpu_seconds_total', _STEAL))})",
            },
            ((0.9, RED),),
        ),
        graph(
            "Memory",
            "In use, without what the kernel can free. Near 1 the kernel ends the largest process.",
            SHARE,
            {"{{instance}}": f"1 - {_host('memory_MemAvailable_bytes')} / {_host('memory_MemTotal_bytes')}"},
            FULL,
        ),
        graph(
            "Disk",
            "In use, by file system. `$service-diagnose --check disk --check logs` says what takes it.",
            SHARE,
            {"{{instance}} {{mountpoint}}": _in_use("avail_bytes", "size_bytes")},
            FULL,
        ),
        graph(
            "Inodes",
            "In use. A full one refuses new files while there is space: many small files, such as sessions or caches.",
            SHARE,
            {"{{instance}} {{mountpoint}}": _in_use("files_free", "files")},
            FULL,
        ),
        graph(
            "Disk time",
            "Share of the time in which the disk was busy. Near 1 for long: PostgreSQL and the logs wait for it.",
            SHARE,
            {"{{instance}} {{device}}": rate(_host("disk_io_time_seconds_total"))},
            ((0.9, RED),),
        ),
        graph(
            "Network",
            "All interfaces but the loopback. More without more requests: large answers, or a backup.",
            BANDWIDTH,
            {
                f"{{{{instance}}}} {way}": f"sum by (instance) ({rate(_host(f'network_{kind}_bytes_total', _OUTSIDE))})"
                for way, kind in (("in", "receive"), ("out", "transmit"))
            },
        ),
        graph(
            "Logs of the service",
            "What its log directory holds, rotated logs and all. Fast growth: the service writes an error in a loop.",
            BYTES,
            {"{{instance}}": here("log_size_bytes")},
        ),
        graph(
            "CPU of the watchdog",
            "Itself, and the commands that it runs: the diagnosis above all. A few thousandths of a core are usual.",
            SHARE,
            {"{{instance}} {{part}}": rate(here("watchdog_cpu_seconds_total"))},
        ),
        graph(
            "Memory of the watchdog",
            "Resident. It is below 40 MB and does not grow.",
            BYTES,
            {"{{instance}}": here("watchdog_rss_bytes")},
        ),
    ]


_IDLE, _STEAL = ', mode="idle"', ', mode="steal"'
_OUTSIDE = ', device!~"lo|veth.*"'
# What belongs to no database has an empty name.
_DATABASES = ', datname!~"template.*|"'


def _server(name: str, more: str = "") -> str:
    return f'pg_{name}{{instance=~"$postgresql"{more}}}'


def _pools(what: str) -> str:
    return f"(sum({here(f'worker_pool_{what}')}) or vector(0))"


def _database(name: str) -> str:
    return _server(f"stat_database_{name}", _DATABASES)


def _host(name: str, more: str = "") -> str:
    return f'node_{name}{{instance=~"$instance"{more}}}'


def _in_use(free: str, size: str) -> str:
    """Of what is on a disk: what lies in memory, or is read only, is never too full."""
    real = ', fstype!~"tmpfs|ramfs|squashfs|iso9660|fuse.*"'
    return f"1 - {_host(f'filesystem_{free}', real)} / {_host(f'filesystem_{size}', real)}"
