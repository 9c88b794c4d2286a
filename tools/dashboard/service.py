# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers against their limits, and what the watchdog did."""

from __future__ import annotations

from .parts import (
    BYTES,
    COUNT,
    ORANGE,
    PHASES,
    RED,
    SECONDS,
    SHARE,
    STATES,
    YELLOW,
    Panel,
    code_of,
    graph,
    here,
    problems,
    rate,
    states,
)

WORKER = "{{instance}} {{worker}}"


def workers() -> list[Panel]:
    return [
        graph(
            "Resident memory",
            "At the limit a worker is replaced. A line that only rises is a leak: `$service-diagnose --check memory` "
            "says how fast.",
            BYTES,
            {WORKER: here("worker_rss_bytes"), "limit": f"max({here('memory_limit_bytes')})"},
        ),
        graph(
            "Heap in use",
            "Of V8, as PM2 measures it in the worker. At the limit the process ends with code 134. Where resident "
            "memory rises and the heap does not, it is in buffers or native code.",
            BYTES,
            {WORKER: here("worker_heap_used_bytes"), "limit": f"max({here('heap_limit_bytes')})"},
        ),
        graph(
            "CPU of the workers",
            "1 is one core, all that a worker's JavaScript can use. Near 1: more workers, or less work for a request.",
            SHARE,
            {WORKER: rate(here("worker_cpu_seconds_total"))},
            ((0.9, RED),),
        ),
        graph(
            "Event loop",
            "How late it is: the median, and below what 95 of 100 are. Above 200 ms something synchronous holds all "
            "requests of the worker up.",
            SECONDS,
            {
                f"{WORKER} p50": here("worker_event_loop_lag_p50_seconds"),
                f"{WORKER} p95": here("worker_event_loop_lag_p95_seconds"),
            },
            ((0.2, ORANGE),),
        ),
        graph(
            "Health answer",
            "How long each worker's answer to the watchdog took. None for long: the watchdog counts it as hung.",
            SECONDS,
            {WORKER: here("health_answer_seconds")},
        ),
        graph(
            "Open files",
            "With connections. A line that only rises is a leak of files or sockets.",
            COUNT,
            {WORKER: here("worker_open_files")},
        ),
        graph(
            "Restarts",
            "Of workers, by PM2 or the watchdog. More than five in 15 minutes are a crash loop: see "
            "`/var/log/$service/error.log`.",
            COUNT,
            {"{{instance}}": f"sum by (instance) (increase({here('worker_restarts_total')}[$__rate_interval]))"},
            bars=True,
        ),
        graph(
            "Age",
            "Since each worker's process was started. All fall to 0 at a deployment, one at a restart.",
            SECONDS,
            {WORKER: here("worker_age_seconds")},
        ),
        graph(
            "PM2's daemon",
            "Its resident memory, which is known to leak: the watchdog, `site.yml` or a deployment replaces it without "
            "an interruption.",
            BYTES,
            {"{{instance}}": here("daemon_rss_bytes")},
            ((256 * 1024**2, YELLOW), (1024**3, RED)),
        ),
    ]


def recovery() -> list[Panel]:
    return [
        states(
            "State over time",
            "Of each host's watchdog. Paused: by an operator, until `$service-watchdog resume`.",
            {"{{instance}}": code_of("state", "state", STATES, "instance")},
            STATES,
        ),
        states(
            "Service and proxy",
            "The same by what is watched: a proxy that is unhealthy is Nginx, not the service.",
            {"{{instance}} {{target}}": code_of("target_phase", "phase", PHASES, "instance, target")},
            PHASES,
        ),
        graph(
            "Recovery steps",
            "What the watchdog did, by kind; `$service-watchdog history` says why. Each has a cause to be found.",
            COUNT,
            {"{{step}}": f"sum by (step) (increase({here('recovery_steps_total')}[$__rate_interval]))"},
            bars=True,
            stacked=True,
        ),
        graph(
            "Steps in the window",
            "Beside what the budget allows. At the limit the watchdog gives up for a while: act yourself, then "
            "`$service-watchdog resume`.",
            COUNT,
            {
                "{{instance}} {{target}}": here("recovery_budget_used"),
                "limit": f"max({here('recovery_budget_limit')})",
            },
        ),
        graph(
            "Problems",
            "Open ones. `$service-diagnose` names them.",
            COUNT,
            {"{{severity}}": problems("severity")},
            colours={"critical": RED, "warning": YELLOW},
            stacked=True,
        ),
    ]
