# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service at a glance, and its requests by what Nginx counts of them."""

from __future__ import annotations

from .parts import (
    COUNT,
    ORANGE,
    RED,
    REQUESTS,
    SECONDS,
    SHARE,
    STATES,
    STATUS_COLOURS,
    YELLOW,
    Panel,
    Queries,
    clients,
    graph,
    here,
    increase,
    number,
    problems,
    quantile,
    rate,
)

ERRORS = ', status="5xx"'
# As roles/monitoring/files/prometheus-rules.yml has them: a month's budget in a month, in five days, in two.
BURN_LEVELS = ((1, YELLOW), (6, ORANGE), (14.4, RED))
WINDOWS = {"5 min": "5m", "1 h": "1h", "6 h": "6h", "3 d": "3d"}


def glance() -> list[Panel]:
    return [
        number(
            "State",
            "Of each host's watchdog. Exhausted: its steps have not helped and it acts more rarely; "
            "`$service-watchdog history` says what was tried.",
            COUNT,
            {"{{state}}": f"count by (state) ({here('state')} == 1)"},
            colours=dict(STATES),
            names=True,
        ),
        number(
            "Open problems",
            "What the watchdog and the diagnosis find now. `$service-diagnose` has the sentence that says what to do.",
            COUNT,
            {"{{key}}": problems("key")},
            ((1, RED),),
            names=True,
        ),
        number(
            "Availability",
            "Share of the requests without an error (5xx) in the time that is shown, and the objective. Below it: "
            "see Errors by route.",
            SHARE,
            {
                "answered": _share_without(clients("requests_total", ERRORS), clients("requests_total")),
                "objective": _objective("availability"),
            },
            decimals=3,
        ),
        number(
            "In time",
            "Share of the requests within `metrics_latency_threshold` in the time that is shown, and the objective. "
            "Below it: see Slow requests by route.",
            SHARE,
            {
                "in time": _share_without(clients("slow_requests_total"), clients("request_duration_seconds_count")),
                "objective": _objective("latency"),
            },
            decimals=3,
        ),
        number(
            "Error budget burn",
            "How many times as fast as the objective allows. Above 1 the month's budget does not last: see Errors by "
            "route, and the last deployment's mark.",
            COUNT,
            _burns("error", "1 h", "3 d"),
            BURN_LEVELS,
        ),
        number(
            "Latency budget burn",
            "The same for slow requests: see Duration by route, Event loop and PostgreSQL's longest transaction.",
            COUNT,
            _burns("latency", "1 h", "3 d"),
            BURN_LEVELS,
        ),
        number(
            "Requests",
            "Answers of the last minutes. Health requests are not counted.",
            REQUESTS,
            {"requests": f"sum({rate(clients('requests_total'))})"},
        ),
        number(
            "Duration",
            "Half and 95 of 100 requests took at most this long, by the histogram of the last minutes.",
            SECONDS,
            {
                "p50": quantile(0.5, clients("request_duration_seconds_bucket")),
                "p95": quantile(0.95, clients("request_duration_seconds_bucket")),
            },
            decimals=3,
        ),
        number(
            "Workers down",
            "Not online, by PM2. `$service-diagnose --check processes` says why: `errored` was given up, "
            "`waiting restart` comes back by itself. `$service-pm2 list` shows `waiting restart` for both.",
            COUNT,
            {"down": f"count({here('worker_up')} == 0) or vector(0)"},
            ((1, RED),),
            decimals=0,
        ),
        number(
            "Memory of the largest worker",
            "Share of the limit at which a worker is replaced. Near 1 it is replaced soon: look for a leak, or raise "
            "the plan's limit.",
            SHARE,
            {"of limit": f"max({here('worker_rss_bytes')} / on (instance) group_left {here('memory_limit_bytes')})"},
            ((0.8, YELLOW), (0.95, RED)),
        ),
        number(
            "Last probe",
            "Since a watchdog last probed its service, the slowest of them. Above 90 s nobody watches: "
            "`systemctl status $service-watchdog`.",
            SECONDS,
            {"ago": f"max(time() - {here('heartbeat_timestamp_seconds')})"},
            ((45, YELLOW), (90, RED)),
        ),
        number(
            "Release",
            "What is live. Several on a fleet while it is deployed; else a host was left out, and a deployment is due.",
            COUNT,
            {"{{release}}": f"count by (release) ({here('release_info')})"},
            names=True,
        ),
        graph(
            "Error budget burn by window",
            "By window. Above 14.4 in an hour, or 6 in six, an alert comes; above 1 for three days a warning.",
            COUNT,
            _burns("error", *WINDOWS),
            BURN_LEVELS,
            width=12,
        ),
        graph(
            "Latency budget burn by window",
            "The same for slow requests. How slow they are: Duration over time.",
            COUNT,
            _burns("latency", *WINDOWS),
            BURN_LEVELS,
            width=12,
        ),
    ]


def requests() -> list[Panel]:
    total = clients("requests_total")
    errors = clients("requests_total", ERRORS)
    return [
        graph(
            "Requests by status",
            "1xx are WebSockets, when they end. Much 4xx: see Refused by a limit. 5xx: see Errors by route.",
            REQUESTS,
            {"{{status}}": f"sum by (status) ({rate(total)})"},
            colours=STATUS_COLOURS,
            stacked=True,
        ),
        graph(
            "Errors by route",
            "Answers 5xx. One route: its code or its data. All of them: a worker, PostgreSQL, the host. The access log "
            "has each one with `upstream_status`.",
            REQUESTS,
            {"{{route}}": f"topk(10, sum by (route) ({rate(errors)}))"},
        ),
        graph(
            "Share of errors",
            "5xx of all requests. Above the line the error budget is used up faster than the objective allows.",
            SHARE,
            {
                "5xx": f"sum({rate(errors)}) / sum({rate(total)})",
                "limit": f"1 - {_objective('availability')}",
            },
        ),
        graph(
            "Requests by route",
            "The ten busiest of `service_routes`; `other` is what none of them fits.",
            REQUESTS,
            {"{{route}}": f"topk(10, sum by (route) ({rate(total)}))"},
            stacked=True,
        ),
        graph(
            "Duration over time",
            "From a request's first byte to the answer's last, without WebSockets. p99 far above p95: few requests "
            "wait for something, such as a lock or a garbage collection.",
            SECONDS,
            {
                f"p{share * 100:g}": quantile(share, clients("request_duration_seconds_bucket"))
                for share in (0.5, 0.95, 0.99)
            },
        ),
        graph(
            "Duration by route (p95)",
            "The ten slowest. `$service-diagnose --check statements` names the statements that take long.",
            SECONDS,
            {"{{route}}": f"topk(10, {quantile(0.95, clients('request_duration_seconds_bucket'), 'route')})"},
        ),
        graph(
            "Duration and the service's part",
            "The mean, and what of it the service took, or the app host. The rest is Nginx and the client: "
            "far apart means slow clients or large answers.",
            SECONDS,
            {
                "whole": _for_each_request("request_duration_seconds_sum"),
                "service": _for_each_request("upstream_duration_seconds_sum"),
            },
        ),
        graph(
            "Slow requests by route",
            "Longer than `metrics_latency_threshold`: these use up the latency budget.",
            REQUESTS,
            {"{{route}}": f"topk(10, sum by (route) ({rate(clients('slow_requests_total'))}))"},
        ),
        graph(
            "Refused by a limit",
            "By Nginx, with 429 or 503. That is right in a flood; where real clients are refused, raise the "
            "service's limits in the inventory.",
            REQUESTS,
            {"{{limit}}": f"sum by (limit) ({rate(clients('limited_requests_total'))})"},
        ),
    ]


def nginx() -> list[Panel]:
    """In a fleet a request comes by twice: at the entry, and at an app host behind it."""
    duration = here("http_request_duration_seconds_bucket")
    return [
        graph(
            "Requests by host",
            "`true` is where clients come to, `false` an app host behind it. Hosts of one kind that get different "
            "shares: is one drained, or marked as down?",
            REQUESTS,
            {"{{instance}} {{entry}}": f"sum by (instance, entry) ({rate(here('http_requests_total'))})"},
        ),
        graph(
            "Errors by host",
            "5xx. At the entry alone: it does not reach the app hosts. At one app host: that one.",
            REQUESTS,
            {"{{instance}} {{entry}}": f"sum by (instance, entry) ({rate(here('http_requests_total', ERRORS))})"},
        ),
        graph(
            "Duration by host (p95)",
            "An entry that is slower than all app hosts waits for them or for its clients.",
            SECONDS,
            {"{{instance}} {{entry}}": quantile(0.95, duration, "instance", "entry")},
        ),
    ]


def _share_without(bad: str, total: str) -> str:
    """Without a request none was bad."""
    return f"1 - sum({increase(bad)}) / clamp_min(sum({increase(total)}), 1)"


def _for_each_request(seconds: str) -> str:
    return f"sum({rate(clients(seconds))}) / sum({rate(clients('request_duration_seconds_count'))})"


def _objective(name: str) -> str:
    return f'max(nodejs_service_objective_ratio{{service="$service", objective="{name}"}})'


def _burns(kind: str, *windows: str) -> Queries:
    """Without a request there is no share of errors, and nothing is used up."""
    return {
        window: f'max(nodejs_service:{kind}_budget_burn:rate{WINDOWS[window]}{{service="$service"}} >= 0) or vector(0)'
        for window in windows
    }
