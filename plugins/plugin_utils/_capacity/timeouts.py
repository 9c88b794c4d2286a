# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the capacity plan that holds time limits against each other, those of different layers above all."""

from __future__ import annotations

import math

from .core import Plan
from .parts import Part, Settings, advise

# With many connections the service beats at half the pace.
HEARTBEAT_UNDER_LOAD = 2
# Nginx keeps a connection to a release for at most 3 s of use and 2 s of rest.
KEPT_CONNECTION = 5
# PM2 stops two processes at a time, after its own goodbyes.
STOPPED_AT_ONCE = 2
STOP_OF_PM2 = 20


def times_part(core: Plan, settings: Settings) -> Part:
    part = Part("time limits")
    if settings.has("nginx_websocket_timeout", "service_websocket_heartbeat"):
        _heartbeat(part, settings)
    if settings.has("pm2_kill_timeout", "pm2_drain_time"):
        _stop(part, core, settings)
    if settings.has("pm2_listen_timeout", "pm2_start_timeout", "pm2_unit_timeout"):
        _start(part, settings)
    if core.connections and settings.has("nginx_read_timeout", "service_pool_connect_timeout"):
        _pool(part, settings)
    return part


def _heartbeat(part: Part, settings: Settings) -> None:
    beat, timeout = settings.number("service_websocket_heartbeat"), settings.seconds("nginx_websocket_timeout")
    longest = beat * HEARTBEAT_UNDER_LOAD
    line = f"{beat} s heartbeat x {HEARTBEAT_UNDER_LOAD} under load = {longest} s, of {timeout:g} s"
    origin = settings.origin("nginx_websocket_timeout")
    part.row("silence of a WebSocket", f"{timeout:g} s", origin, line)
    if timeout > longest:
        return
    slower = math.ceil(timeout / HEARTBEAT_UNDER_LOAD) - 1
    advice = advise(
        f"nginx_websocket_timeout to {longest + 1}s or more",
        f"service_websocket_heartbeat to {slower}" if slower >= 1 else "",
    )
    message = f"must be above two heartbeats, else Nginx closes silent WebSockets: {line}. {advice}"
    part.refuse("nginx_websocket_timeout", message)


def _stop(part: Part, core: Plan, settings: Settings) -> None:
    """What a release that is replaced has, to finish what it began."""
    kill, drain = settings.number("pm2_kill_timeout"), settings.number("pm2_drain_time")
    left = f"{drain} s drain + {kill:g} s from SIGINT to SIGKILL = {drain + kill:g} s"
    part.row("end of an old release", f"{drain + kill:g} s", settings.origin("pm2_drain_time"), left)
    turns = math.ceil(core.instances / STOPPED_AT_ONCE)
    whole = STOP_OF_PM2 + turns * int(kill)
    line = f"{STOP_OF_PM2} s + {core.instances} instances / {STOPPED_AT_ONCE} at once x {kill:g} s"
    part.row("stop of the PM2 unit", f"{whole} s", "chosen", line)
    if settings.values.get("nginx_upstream_servers") or not settings.has("nginx_read_timeout"):
        return
    read = settings.seconds("nginx_read_timeout")
    if drain + kill < read:
        part.notes.append(
            f"a request may be silent for {read:g} s (nginx_read_timeout), and an old release ends after {left}: such a"
            f" request is cut at a deployment unless pm2_drain_time is {math.ceil(read - kill)}"
        )
    if drain < KEPT_CONNECTION:
        part.notes.append(
            f"Nginx keeps a connection to a replaced release for up to {KEPT_CONNECTION} s, and pm2_drain_time is"
            f" {drain} s: requests of the last moment may fail"
        )


def _start(part: Part, settings: Settings) -> None:
    """What a process has to start, by PM2 and by what starts PM2. PM2 waits only for a process that will tell."""
    listen, start = settings.number("pm2_listen_timeout"), settings.number("pm2_start_timeout")
    unit, waits = settings.number("pm2_unit_timeout"), bool(settings.values.get("pm2_wait_ready"))
    line = f"PM2 waits {listen:g} s for ready" if waits else "PM2 does not wait for ready"
    part.row("start of a process", f"{start} s", settings.origin("pm2_start_timeout"), line)
    part.row("start of the PM2 unit", f"{unit} s", settings.origin("pm2_unit_timeout"))
    if not waits:
        return
    for variable, limit, who in (
        ("pm2_start_timeout", start, "a deployment gives up"),
        ("pm2_unit_timeout", unit, "the unit is stopped"),
    ):
        if limit < listen:
            advice = advise(f"{variable} to {math.ceil(listen)} or more", f"pm2_listen_timeout to {limit}")
            message = f"{who} while PM2 still waits for a process to say ready: {listen:g} s, of {limit} s. {advice}"
            part.refuse(variable, message)


def _pool(part: Part, settings: Settings) -> None:
    wait, read = settings.number("service_pool_connect_timeout"), settings.seconds("nginx_read_timeout")
    origin = settings.origin("service_pool_connect_timeout")
    part.row("wait for a database connection", f"{wait} s", origin, f"of {read:g} s until Nginx answers 504")
    if wait >= read:
        part.notes.append(
            f"service_pool_connect_timeout {wait} s is not below nginx_read_timeout {read:g} s: clients get 504 from"
            " Nginx before the service can answer"
        )
