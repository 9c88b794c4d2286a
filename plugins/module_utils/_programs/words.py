# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What alerts and the report call things in each of LANGUAGES: codes, checks, times."""

from __future__ import annotations

import datetime

from .codes import LANGUAGES, Code

# Names of the diagnosis' checks, by what stands before the first dot; an unknown one is shown as it is.
CHECKS = {
    "release": "版本",
    "health": "健康检查",
    "event_loop": "事件循环",
    "proxy": "反向代理",
    "websocket": "WebSocket",
    "certificates": "证书",
    "nginx": "Nginx",
    "processes": "进程",
    "processors": "处理器",
    "memory": "内存",
    "descriptors": "文件描述符",
    "units": "系统服务",
    "logs": "日志",
    "disk": "磁盘",
    "kernel": "内核与主机",
    "clock": "系统时钟",
    "cron": "定时任务",
    "secrets": "密钥",
    "backup": "备份",
    "files": "文件备份",
    "database": "数据库",
    "pool": "连接池",
    "connections": "数据库连接",
    "statements": "SQL 语句",
    "indexes": "索引",
    "state": "状态文件",
    "failed": "没有结果",
}

_UNITS = (
    (86400, ("{n} d", "{n} 天")),
    (3600, ("{n} h", "{n} 小时")),
    (60, ("{n} min", "{n} 分钟")),
    (1, ("{n} s", "{n} 秒")),
)


def duration(seconds: float, language: str) -> str:
    """The two largest units of it."""
    left = max(0, round(seconds))
    parts = []
    for size, words in _UNITS:
        count, left = divmod(left, size)
        parts.append((count, words[LANGUAGES.index(language)]))
    first = next((number for number, (count, _word) in enumerate(parts) if count), len(parts) - 1)
    shown = [part for part in parts[first : first + 2] if part[0]] or parts[-1:]
    return " ".join(word.format(n=count) for count, word in shown)


def moment(time: float) -> str:
    """In the host's own time zone, which is shown: it may be read elsewhere, and later."""
    try:
        return datetime.datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    except (ValueError, OverflowError, OSError):
        return f"{time:.0f}"


def check_name(check: str, language: str) -> str:
    """What stands before the first dot has a Chinese name, if it is known."""
    head, dot, rest = check.partition(".")
    return (CHECKS.get(head, head) if language == "zh" else head) + dot + rest


def words_of(code: str, language: str) -> tuple[str, str] | None:
    """Name and advice; None for a code that is not known."""
    try:
        return Code(code).words[language]
    except ValueError:
        return None
