# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the alerts in each of LANGUAGES, beside those of the codes and the checks: labels and phrases."""

from __future__ import annotations

# What begins the title, by the kind of a notice and, where it matters, by severity.
LABELS = {
    "critical": ("CRITICAL", "严重"),
    "warning": ("WARNING", "警告"),
    "worse": ("NOW CRITICAL", "升级为严重"),
    "reminder": ("STILL CRITICAL", "仍未恢复"),
    "resolved": ("RESOLVED", "已恢复"),
    "action": ("RECOVERY", "自动恢复"),
    "failed": ("RECOVERY FAILED", "自动恢复失败"),
    "flapping": ("FLAPPING", "反复出现"),
    "settled": ("SETTLED", "已稳定"),
    "test": ("TEST", "测试"),
}

# Lines of the body.
PHRASES = {
    "title": ("{service} on {host}: {label}: {name}", "{service}（{host}）{label}：{name}"),
    "title_of_all": ("{service}: {label}: {name}", "{service} {label}：{name}"),
    "runbook": ("What to do: {address}", "处理方法：{address}"),
    "details": ("{message}", "详情：{message}"),
    "since": ("Since {since}, for {duration}.", "开始于 {since}，已持续 {duration}。"),
    "lasted": ("It lasted {duration}, from {since} to {time}.", "持续了 {duration}，从 {since} 到 {time}。"),
    "done": ("Done meanwhile: {actions}.", "期间已执行：{actions}。"),
    "flapping": (
        "It came {count} times within an hour. No more is reported until it has not changed for {quiet}.",
        "一小时内出现了 {count} 次；在连续 {quiet} 没有变化之前，不再通知。",
    ),
    "settled_open": (
        "It has not changed for {quiet}: the problem is still there.",
        "已连续 {quiet} 没有变化：问题仍然存在。",
    ),
    "settled_gone": ("It has not changed for {quiet}: the problem is gone.", "已连续 {quiet} 没有变化：问题已消失。"),
    "at": ("Time: {time}", "时间：{time}"),
    "limit": (
        "That is the limit of messages in an hour; what follows comes in one message, unless it is critical.",
        "已达到每小时的消息上限；之后的消息会合并为一条发送，严重告警除外。",
    ),
    "sum_title": ("{service} on {host}: {count} more messages", "{service}（{host}）另有 {count} 条消息"),
    "sum_body": ("Held back by the limit of messages in an hour:", "因每小时消息上限而未单独发送："),
    "sum_older": ("... and {count} before these", "……以及更早的 {count} 条"),
    "comma": (", ", "、"),
}
