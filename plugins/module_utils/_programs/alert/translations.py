# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the alerts in each language, beside those of the codes: labels, phrases, names of checks."""

from __future__ import annotations

from collections.abc import Mapping

# What begins the title, by the kind of a notice and, where it matters, by severity.
LABELS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "critical": "CRITICAL",
        "warning": "WARNING",
        "worse": "NOW CRITICAL",
        "reminder": "STILL CRITICAL",
        "resolved": "RESOLVED",
        "action": "RECOVERY",
        "failed": "RECOVERY FAILED",
        "flapping": "FLAPPING",
        "settled": "SETTLED",
        "test": "TEST",
    },
    "zh": {
        "critical": "严重",
        "warning": "警告",
        "worse": "升级为严重",
        "reminder": "仍未恢复",
        "resolved": "已恢复",
        "action": "自动恢复",
        "failed": "自动恢复失败",
        "flapping": "反复出现",
        "settled": "已稳定",
        "test": "测试",
    },
}

# Lines of the body, and the parts of a duration.
PHRASES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "{service} on {host}: {label}: {name}",
        "details": "{message}",
        "since": "Since {since}, for {duration}.",
        "lasted": "It lasted {duration}, from {since} to {time}.",
        "done": "Done meanwhile: {actions}.",
        "flapping": "It came {count} times within an hour. No more is reported until it has not changed for {quiet}.",
        "settled_open": "It has not changed for {quiet}: the problem is still there.",
        "settled_gone": "It has not changed for {quiet}: the problem is gone.",
        "at": "Time: {time}",
        "limit": "That is the limit of messages in an hour; what follows comes in one message, unless it is critical.",
        "sum_title": "{service} on {host}: {count} more messages",
        "sum_body": "Held back by the limit of messages in an hour:",
        "sum_older": "... and {count} before these",
        "comma": ", ",
        "seconds": "{n} s",
        "minutes": "{n} min",
        "hours": "{n} h",
        "days": "{n} d",
    },
    "zh": {
        "title": "{service}（{host}）{label}：{name}",
        "details": "详情：{message}",
        "since": "开始于 {since}，已持续 {duration}。",
        "lasted": "持续了 {duration}，从 {since} 到 {time}。",
        "done": "期间已执行：{actions}。",
        "flapping": "一小时内出现了 {count} 次；在连续 {quiet} 没有变化之前，不再通知。",
        "settled_open": "已连续 {quiet} 没有变化：问题仍然存在。",
        "settled_gone": "已连续 {quiet} 没有变化：问题已消失。",
        "at": "时间：{time}",
        "limit": "已达到每小时的消息上限；之后的消息会合并为一条发送，严重告警除外。",
        "sum_title": "{service}（{host}）另有 {count} 条消息",
        "sum_body": "因每小时消息上限而未单独发送：",
        "sum_older": "……以及更早的 {count} 条",
        "comma": "、",
        "seconds": "{n} 秒",
        "minutes": "{n} 分钟",
        "hours": "{n} 小时",
        "days": "{n} 天",
    },
}

# Names of the diagnosis' checks, by what stands before the first dot; an unknown one is shown as it is.
CHECKS: Mapping[str, str] = {
    "release": "版本",
    "health": "健康检查",
    "event_loop": "事件循环",
    "proxy": "反向代理",
    "websocket": "WebSocket",
    "certificates": "证书",
    "nginx": "Nginx",
    "processes": "进程",
    "memory": "内存",
    "descriptors": "文件描述符",
    "units": "系统服务",
    "logs": "日志",
    "disk": "磁盘",
    "kernel": "内核与主机",
    "clock": "系统时钟",
    "cron": "定时任务",
    "secrets": "密钥",
    "database": "数据库",
    "pool": "连接池",
    "connections": "数据库连接",
    "statements": "SQL 语句",
    "indexes": "索引",
    "state": "状态文件",
    "failed": "没有结果",
}
