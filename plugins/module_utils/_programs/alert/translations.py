# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of the alerts in each language: for every code of an event a name, and what it means or what to do."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "zh")

# Code: its name, and what happens now or what to do. {name} stands for a value of the event or of the host.
Words = Mapping[str, tuple[str, str]]

_ENGLISH: Words = {
    "worker_hung": ("a worker hangs", "It is killed, and PM2 starts it anew."),
    "worker_missing": ("a worker is missing", "Recovery has PM2 start it."),
    "worker_surplus": ("a process of the service runs without PM2", "Nothing watches, restarts or stops it."),
    "app_missing": ("the service is not in PM2", "Recovery starts it from the ecosystem file."),
    "not_deployed": ("no release is active", "There is nothing to recover. Deploy a release with the playbook."),
    "starting": ("the service is starting", "Recovery waits until it has had its time."),
    "paused": ("recovery is paused", "`{service}-watchdog resume` lets it go on."),
    "unhealthy": ("the service says it is ill", "Recovery restarts it, unless the cause lies elsewhere."),
    "no_answer": ("the service does not answer", "Recovery restarts it."),
    "daemon_dead": ("PM2's daemon is dead", "Recovery starts it, and the service with it."),
    "daemon_hung": ("PM2's daemon hangs", "Recovery restarts it."),
    "memory_near_limit": ("a worker is near its memory limit", "It is reloaded, one worker at a time."),
    "crash_loop": ("the service crashes again and again", "PM2 restarts it each time. Look at its error log."),
    "proxy_dead": ("Nginx is dead", "Recovery starts it."),
    "proxy_hung": ("Nginx hangs", "Recovery restarts it."),
    "proxy_full": (
        "Nginx has no connection left",
        "A restart would cut off all of its sites, and clients would fill it again: see who is connected.",
    ),
    "proxy_wrong": (
        "Nginx answers wrongly",
        "A restart of Nginx would hardly help: look at its configuration and its error log.",
    ),
    "stopped_by_operator": ("the service was stopped by somebody", "It is left alone until it is started again."),
    "deployment": ("a deployment is in progress", "Recovery waits until it is over."),
    "database_down": ("the database does not answer", "A restart of the service would not help: look at the database."),
    "database_full": (
        "the database has no connection left",
        "Recovery waits a few minutes: see who holds the connections.",
    ),
    "disk_short": ("the disk is nearly full", "A restart of the service would not help: free some space."),
    "cpu_short": (
        "the host's processors are overloaded",
        "A restart of the service would not help: see what uses them.",
    ),
    "memory_short": ("the host is short of memory", "A restart of the service would not help: see what uses it."),
    "proxy_config_broken": ("Nginx's configuration is broken", "It can't be restarted: see what `nginx -t` says."),
    "budget_spent": (
        "recovery did not help",
        "Its budget of actions is spent; it tries again later, more rarely, or after `{service}-watchdog resume`.",
    ),
    "log_not_writable": (
        "the watchdog can't write its log",
        "See whether the disk is full, and who owns the directory.",
    ),
    "state_not_writable": (
        "the watchdog can't write its state",
        "See whether the disk is full, and who owns the directory.",
    ),
    "state_corrupt": ("the watchdog's state was damaged", "It was put aside; the watchdog began anew."),
    "pause_unreadable": (
        "recovery is paused by a damaged file",
        "`{service}-watchdog resume` lets it go on.",
    ),
    "finding": ("the diagnosis: {check}", "Value: {value} {unit}; threshold: {threshold} {unit}."),
    "watchdog_silent": (
        "the watchdog is silent",
        "Nobody watches and recovers the service. See `systemctl status {service}-watchdog`.",
    ),
    "watchdog_stopped": (
        "the watchdog was stopped by somebody",
        "Nobody watches and recovers the service. `systemctl start {service}-watchdog` starts it.",
    ),
    "test": ("test message", "Alerts of this service arrive here."),
    "reload_worker": ("reload of a worker", ""),
    "kill_worker": ("kill of a worker", ""),
    "restart_worker": ("restart of a worker", ""),
    "restart_app": ("restart of the service", ""),
    "recreate_app": ("start of the service from the ecosystem file", ""),
    "restart_daemon": ("restart of PM2's daemon", ""),
    "restart_proxy": ("restart of Nginx", ""),
    "remove_surplus": ("end of a process that PM2 had lost", ""),
}

_CHINESE: Words = {
    "worker_hung": ("工作进程卡死", "将结束该进程，并由 PM2 重新启动。"),
    "worker_missing": ("工作进程缺失", "自动恢复会让 PM2 启动它。"),
    "worker_surplus": ("有服务进程脱离了 PM2 的管理", "没有任何程序监控、重启或停止它。"),
    "app_missing": ("PM2 中没有该服务", "自动恢复会按 ecosystem 文件启动它。"),
    "not_deployed": ("没有已激活的版本", "没有可恢复的内容，请用 playbook 部署一个版本。"),
    "starting": ("服务正在启动", "自动恢复会等待其启动时间结束。"),
    "paused": ("自动恢复已暂停", "执行 `{service}-watchdog resume` 后会继续。"),
    "unhealthy": ("服务报告自身异常", "若原因不在别处，自动恢复会重启它。"),
    "no_answer": ("服务无响应", "自动恢复会重启它。"),
    "daemon_dead": ("PM2 守护进程已退出", "自动恢复会启动它以及服务。"),
    "daemon_hung": ("PM2 守护进程卡死", "自动恢复会重启它。"),
    "memory_near_limit": ("工作进程接近内存上限", "将逐个平滑重载工作进程。"),
    "crash_loop": ("服务反复崩溃", "PM2 每次都会重启它，请查看错误日志。"),
    "proxy_dead": ("Nginx 已退出", "自动恢复会启动它。"),
    "proxy_hung": ("Nginx 卡死", "自动恢复会重启它。"),
    "proxy_full": ("Nginx 已无可用连接", "重启会中断所有站点，而且连接很快又会被占满，请查看连接来自哪里。"),
    "proxy_wrong": ("Nginx 的应答不正确", "重启 Nginx 未必有用，请检查它的配置和错误日志。"),
    "stopped_by_operator": ("服务已被人为停止", "在重新启动之前不会对它做任何操作。"),
    "deployment": ("正在部署", "自动恢复会等部署结束。"),
    "database_down": ("数据库无响应", "重启服务无济于事，请检查数据库。"),
    "database_full": ("数据库已无可用连接", "自动恢复会等待几分钟，请查看连接被谁占用。"),
    "disk_short": ("磁盘空间即将用尽", "重启服务无济于事，请清理磁盘空间。"),
    "cpu_short": ("主机处理器过载", "重启服务无济于事，请查看处理器被谁占用。"),
    "memory_short": ("主机内存不足", "重启服务无济于事，请查看内存被谁占用。"),
    "proxy_config_broken": ("Nginx 配置有误", "无法重启 Nginx，请查看 `nginx -t` 的输出。"),
    "budget_spent": (
        "自动恢复未能奏效",
        "恢复次数已用完；较早的操作移出统计时段后，或执行 `{service}-watchdog resume` 后会继续。",
    ),
    "log_not_writable": ("看门狗无法写日志", "请检查磁盘是否已满以及目录的属主。"),
    "state_not_writable": ("看门狗无法写状态文件", "请检查磁盘是否已满以及目录的属主。"),
    "state_corrupt": ("看门狗的状态文件已损坏", "损坏的文件已另存，看门狗从头开始。"),
    "pause_unreadable": ("自动恢复被一个损坏的文件暂停", "执行 `{service}-watchdog resume` 后会继续。"),
    "finding": ("诊断：{check}", "当前值：{value} {unit}；阈值：{threshold} {unit}。"),
    "watchdog_silent": ("看门狗没有心跳", "服务目前无人监控和恢复，请查看 `systemctl status {service}-watchdog`。"),
    "watchdog_stopped": (
        "看门狗已被人为停止",
        "服务目前无人监控和恢复，执行 `systemctl start {service}-watchdog` 可启动它。",
    ),
    "test": ("测试消息", "该服务的告警会发送到这里。"),
    "reload_worker": ("平滑重载工作进程", ""),
    "kill_worker": ("结束工作进程", ""),
    "restart_worker": ("重启工作进程", ""),
    "restart_app": ("重启服务", ""),
    "recreate_app": ("按 ecosystem 文件启动服务", ""),
    "restart_daemon": ("重启 PM2 守护进程", ""),
    "restart_proxy": ("重启 Nginx", ""),
    "remove_surplus": ("结束脱离 PM2 管理的进程", ""),
}

CODES = {"en": _ENGLISH, "zh": _CHINESE}

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
        "flapping": "It came {count} times within an hour. Nothing more is told until it stays as it is for {quiet}.",
        "settled_open": "It has stayed for {quiet}: the problem is there.",
        "settled_gone": "It has stayed for {quiet}: the problem is gone.",
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

# Names of the diagnosis' checks, by what stands before the first dot; an unknown one is told as it is.
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
