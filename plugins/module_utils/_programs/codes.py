# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codes of problems and actions, which the watchdog reports and alerting explains in each language."""

from __future__ import annotations

import enum
from collections.abc import Mapping

LANGUAGES = ("en", "zh")


class Code(enum.StrEnum):
    """A code with its words for each of LANGUAGES: its name, and what happens now or what to do.

    {name} in the words stands for a value of the event or of the host. The code itself is part of events, logs,
    metrics and state files.
    """

    words: Mapping[str, tuple[str, str]]
    """By language: name and advice."""

    def __new__(cls, code: str, *words: tuple[str, str]) -> Code:
        """Raises ValueError where a language is missing, which ends the import."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.words = dict(zip(LANGUAGES, words, strict=True))
        return member

    WORKER_HUNG = (
        "worker_hung",
        ("a worker hangs", "It is killed, and PM2 restarts it."),
        ("工作进程卡死", "将结束该进程，并由 PM2 重新启动。"),
    )
    WORKER_MISSING = (
        "worker_missing",
        ("a worker is missing", "Recovery has PM2 start it."),
        ("工作进程缺失", "自动恢复会让 PM2 启动它。"),
    )
    WORKER_SURPLUS = (
        "worker_surplus",
        ("a process of the service runs without PM2", "Nothing watches, restarts or stops it."),
        ("有服务进程脱离了 PM2 的管理", "没有任何程序监控、重启或停止它。"),
    )
    APP_MISSING = (
        "app_missing",
        ("the service is not in PM2", "Recovery starts it from the ecosystem file."),
        ("PM2 中没有该服务", "自动恢复会按 ecosystem 文件启动它。"),
    )
    NOT_DEPLOYED = (
        "not_deployed",
        ("no release is active", "There is nothing to recover. Deploy a release with the playbook."),
        ("没有已激活的版本", "没有可恢复的内容，请用 playbook 部署一个版本。"),
    )
    STARTING = (
        "starting",
        ("the service is starting", "Recovery waits until it has had its time."),
        ("服务正在启动", "自动恢复会等待其启动时间结束。"),
    )
    PAUSED = (
        "paused",
        ("recovery is paused", "`{service}-watchdog resume` ends the pause."),
        ("自动恢复已暂停", "执行 `{service}-watchdog resume` 后会继续。"),
    )
    UNHEALTHY = (
        "unhealthy",
        ("the service reports itself unhealthy", "Recovery restarts it, unless the cause is elsewhere."),
        ("服务报告自身异常", "若原因不在别处，自动恢复会重启它。"),
    )
    NO_ANSWER = (
        "no_answer",
        ("the service does not answer", "Recovery restarts it."),
        ("服务无响应", "自动恢复会重启它。"),
    )
    DAEMON_DEAD = (
        "daemon_dead",
        ("PM2's daemon is dead", "Recovery starts it, and the service with it."),
        ("PM2 守护进程已退出", "自动恢复会启动它以及服务。"),
    )
    DAEMON_HUNG = (
        "daemon_hung",
        ("PM2's daemon hangs", "Recovery replaces or restarts it."),
        ("PM2 守护进程卡死", "自动恢复会替换或重启它。"),
    )
    MEMORY_NEAR_LIMIT = (
        "memory_near_limit",
        ("a worker is near its memory limit", "It is reloaded, one worker at a time."),
        ("工作进程接近内存上限", "将逐个平滑重载工作进程。"),
    )
    CRASH_LOOP = (
        "crash_loop",
        ("the service crashes again and again", "PM2 restarts it each time. Look at its error log."),
        ("服务反复崩溃", "PM2 每次都会重启它，请查看错误日志。"),
    )
    PROXY_DEAD = ("proxy_dead", ("Nginx is dead", "Recovery starts it."), ("Nginx 已退出", "自动恢复会启动它。"))
    PROXY_HUNG = ("proxy_hung", ("Nginx hangs", "Recovery restarts it."), ("Nginx 卡死", "自动恢复会重启它。"))
    PROXY_PORT_TAKEN = (
        "proxy_port_taken",
        (
            "another program has Nginx's port",
            "Nginx can't start as long as it listens there: stop it, then `systemctl start nginx`.",
        ),
        (
            "Nginx 的端口被其他程序占用",
            "Nginx 因此无法启动：请先停止该程序，再执行 `systemctl start nginx`。",
        ),
    )
    PROXY_FULL = (
        "proxy_full",
        (
            "Nginx has no connection left",
            "A restart would cut off all of its sites, and clients would fill it again: see who is connected.",
        ),
        ("Nginx 已无可用连接", "重启会中断所有站点，而且连接很快又会被占满，请查看连接来自哪里。"),
    )
    PROXY_WRONG = (
        "proxy_wrong",
        ("Nginx answers wrongly", "A restart of Nginx would hardly help: look at its configuration and its error log."),
        ("Nginx 的应答不正确", "重启 Nginx 未必有用，请检查它的配置和错误日志。"),
    )
    STOPPED_BY_OPERATOR = (
        "stopped_by_operator",
        ("the service was stopped by an operator", "It is left alone until it is started again."),
        ("服务已被人为停止", "在重新启动之前不会对它做任何操作。"),
    )
    DEPLOYMENT = (
        "deployment",
        ("a deployment is in progress", "Recovery waits until it is over."),
        ("正在部署", "自动恢复会等部署结束。"),
    )
    DATABASE_DOWN = (
        "database_down",
        ("the database does not answer", "A restart of the service would not help: look at the database."),
        ("数据库无响应", "重启服务无济于事，请检查数据库。"),
    )
    DATABASE_FULL = (
        "database_full",
        ("the database has no connection left", "Recovery waits a few minutes: see who holds the connections."),
        ("数据库已无可用连接", "自动恢复会等待几分钟，请查看连接被谁占用。"),
    )
    DATABASE_LOCKED = (
        "database_locked",
        (
            "another session locks what the service needs in the database",
            "A restart of the service would not help: end that session if nobody works in it.",
        ),
        ("数据库中另一会话锁住了服务所需的数据", "重启服务无济于事；若无人使用该会话，请将其终止。"),
    )
    DISK_SHORT = (
        "disk_short",
        ("the disk is nearly full", "A restart of the service would not help: free some space."),
        ("磁盘空间即将用尽", "重启服务无济于事，请清理磁盘空间。"),
    )
    CPU_SHORT = (
        "cpu_short",
        ("the host's processors are overloaded", "A restart of the service would not help: see what uses them."),
        ("主机处理器过载", "重启服务无济于事，请查看处理器被谁占用。"),
    )
    MEMORY_SHORT = (
        "memory_short",
        ("the host is short of memory", "A restart of the service would not help: see what uses it."),
        ("主机内存不足", "重启服务无济于事，请查看内存被谁占用。"),
    )
    PROXY_CONFIG_BROKEN = (
        "proxy_config_broken",
        ("Nginx's configuration is broken", "It can't be restarted: see what `nginx -t` says."),
        ("Nginx 配置有误", "无法重启 Nginx，请查看 `nginx -t` 的输出。"),
    )
    BUDGET_SPENT = (
        "budget_spent",
        (
            "recovery did not help",
            "Its budget of actions is spent; it tries again later, more rarely, or after `{service}-watchdog resume`.",
        ),
        ("自动恢复未能奏效", "恢复次数已用完；较早的操作移出统计时段后，或执行 `{service}-watchdog resume` 后会继续。"),
    )
    LOG_NOT_WRITABLE = (
        "log_not_writable",
        ("the watchdog can't write its log", "See whether the disk is full, and who owns the directory."),
        ("看门狗无法写日志", "请检查磁盘是否已满以及目录的属主。"),
    )
    STATE_NOT_WRITABLE = (
        "state_not_writable",
        ("the watchdog can't write its state", "See whether the disk is full, and who owns the directory."),
        ("看门狗无法写状态文件", "请检查磁盘是否已满以及目录的属主。"),
    )
    STATE_CORRUPT = (
        "state_corrupt",
        ("the watchdog's state was damaged", "It was put aside; the watchdog started from scratch."),
        ("看门狗的状态文件已损坏", "损坏的文件已另存，看门狗从头开始。"),
    )
    PAUSE_UNREADABLE = (
        "pause_unreadable",
        ("recovery is paused by a damaged file", "`{service}-watchdog resume` ends the pause."),
        ("自动恢复被一个损坏的文件暂停", "执行 `{service}-watchdog resume` 后会继续。"),
    )
    FINDING = (
        "finding",
        ("the diagnosis: {check}", "Value: {value} {unit}; threshold: {threshold} {unit}."),
        ("诊断：{check}", "当前值：{value} {unit}；阈值：{threshold} {unit}。"),
    )
    WATCHDOG_SILENT = (
        "watchdog_silent",
        (
            "the watchdog is silent",
            "Nobody watches and recovers the service. See `systemctl status {service}-watchdog`.",
        ),
        ("看门狗没有心跳", "服务目前无人监控和恢复，请查看 `systemctl status {service}-watchdog`。"),
    )
    WATCHDOG_STOPPED = (
        "watchdog_stopped",
        (
            "the watchdog was stopped by an operator",
            "Nobody watches and recovers the service. `systemctl start {service}-watchdog` starts it.",
        ),
        ("看门狗已被人为停止", "服务目前无人监控和恢复，执行 `systemctl start {service}-watchdog` 可启动它。"),
    )
    MONITORING_SILENT = (
        "monitoring_silent",
        (
            "the monitoring is silent",
            "No alert of any host comes. On the monitor: `systemctl status prometheus prometheus-alertmanager`.",
        ),
        (
            "监控系统没有心跳",
            "目前收不到任何主机的告警。在监控主机上查看：`systemctl status prometheus prometheus-alertmanager`。",
        ),
    )
    MONITORING_STOPPED = (
        "monitoring_stopped",
        (
            "the monitoring was stopped by an operator",
            "No alert of any host comes. On the monitor: `systemctl start prometheus prometheus-alertmanager`.",
        ),
        (
            "监控系统已被人为停止",
            "目前收不到任何主机的告警。在监控主机上执行：`systemctl start prometheus prometheus-alertmanager`。",
        ),
    )
    HOST_DOWN = (
        "host_down",
        ("the host is down", "The monitor gets no answer from it: see whether it runs, and whether its network does."),
        ("主机宕机", "监控主机得不到它的应答，请检查主机是否在运行、网络是否正常。"),
    )
    FLAPPING = (
        "flapping",
        (
            "the service is recovered again and again",
            "Something breaks it each time. See `{service}-watchdog history`.",
        ),
        ("服务反复被自动恢复", "每次恢复后又再次出现故障，请查看 `{service}-watchdog history`。"),
    )
    EVENT_LOOP_LATE = (
        "event_loop_late",
        (
            "a worker's event loop is late",
            "All requests of that worker wait: see what holds it up.",
        ),
        ("工作进程的事件循环延迟", "该进程的所有请求都在等待，请查看是什么占用了它。"),
    )
    NOT_DIAGNOSED = (
        "not_diagnosed",
        ("no diagnosis for hours", "What runs out would not be reported. See what `{service}-diagnose` says."),
        ("数小时没有诊断", "资源即将耗尽时不会有告警，请查看 `{service}-diagnose` 的输出。"),
    )
    ERROR_BUDGET = (
        "error_budget",
        ("clients get too many errors", "The month's budget of errors is used up too fast: see which requests fail."),
        ("客户端收到的错误过多", "本月的错误预算消耗过快，请查看哪些请求失败。"),
    )
    LATENCY_BUDGET = (
        "latency_budget",
        ("too many requests are slow", "The month's budget of them is used up too fast: see which, and since when."),
        ("慢请求过多", "本月的慢请求预算消耗过快，请查看是哪些请求、从何时开始。"),
    )
    TEST = ("test", ("test message", "Alerts of this service arrive here."), ("测试消息", "该服务的告警会发送到这里。"))
    RELOAD_WORKER = ("reload_worker", ("reload of a worker", ""), ("平滑重载工作进程", ""))
    KILL_WORKER = ("kill_worker", ("kill of a worker", ""), ("结束工作进程", ""))
    RESTART_WORKER = ("restart_worker", ("restart of a worker", ""), ("重启工作进程", ""))
    RESTART_APP = ("restart_app", ("restart of the service", ""), ("重启服务", ""))
    RECREATE_APP = (
        "recreate_app",
        ("start of the service from the ecosystem file", ""),
        ("按 ecosystem 文件启动服务", ""),
    )
    RENEW_ACTIVATION = ("renew_activation", ("another activation of the release", ""), ("重新激活当前版本", ""))
    RESTART_DAEMON = ("restart_daemon", ("restart of PM2's daemon", ""), ("重启 PM2 守护进程", ""))
    RESTART_PROXY = ("restart_proxy", ("restart of Nginx", ""), ("重启 Nginx", ""))
    REMOVE_SURPLUS = ("remove_surplus", ("end of a process that PM2 had lost", ""), ("结束脱离 PM2 管理的进程", ""))
