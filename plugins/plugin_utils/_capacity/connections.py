# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the capacity plan that counts connections: Nginx's workers, WebSockets, and everybody's open files."""

from __future__ import annotations

import typing as t

from .bodies import bodies_mb, body_limits
from .core import Plan
from .parts import Part, Settings, advise

# Of each worker's connections: 64 requests at a time, with one to the client and one to the service.
REQUEST_CONNECTIONS = 128
# Beside its connections a worker has logs, listening sockets and the channel to its master.
WORKER_FILES = 64
USUAL_RLIMIT = 4096
# Requests, the program's own files, its logs and the channel to PM2.
PROCESS_FILES = 256


def websocket_room(workers: int, worker_connections: int, keepalive: int) -> int:
    """Return how many WebSockets the workers carry together; each takes a connection on either side."""
    return max(0, workers * (worker_connections - keepalive - REQUEST_CONNECTIONS) // 2)


def choose_websockets(desired: t.Any, of_processes: int, room: int) -> int:
    """Return the proxy's limit, 0 for none: what is desired, or as many as the processes take and the workers carry.

    ``of_processes`` is 0 where that is not known: on a proxy that does not run the service, whose hosts each choose."""
    return max(1, min(of_processes or room, room)) if desired == "auto" else int(desired)


def choose_rlimit(desired: t.Any, worker_connections: int) -> int:
    """Return the workers' limit of open files, 0 for the host's own: what is desired, or two for each connection.

    A body or an answer that does not fit in memory is a file beside its connection.
    """
    return max(USUAL_RLIMIT, 2 * worker_connections) if desired == "auto" else int(desired)


def proxy_part(core: Plan, settings: Settings) -> Part:
    part = Part("Nginx and WebSockets")
    if settings.has("nginx_worker_connections", "service_websocket_max_connections"):
        proxy = _Proxy(core, settings, part)
        proxy.add_rows()
        proxy.refuse_too_few()
        if proxy.serves_websockets:
            proxy.add_notes()
    return part


class _Proxy:
    """The sums of a proxy, and what is wrong with them."""

    def __init__(self, core: Plan, settings: Settings, part: Part) -> None:
        self.settings = settings
        self.part = part
        self.workers = core.desired.cores
        self.instances = core.instances or _instances_elsewhere(settings)
        self.connections = settings.number("nginx_worker_connections")
        self.keepalive = settings.number("nginx_upstream_keepalive")
        self.servers = max(1, len(settings.values.get("nginx_upstream_servers") or []))
        self.each = settings.number("service_websocket_max_connections")
        self.serves_websockets = bool(settings.values.get("service_websocket_paths", True))
        self.of_processes = self.instances * self.servers * self.each
        self.room = websocket_room(self.workers, self.connections, self.keepalive)
        self.desired = settings.values["nginx_websocket_max_connections"]
        self.total = choose_websockets(self.desired, self.of_processes, self.room)
        self.rlimit = choose_rlimit(settings.values["nginx_worker_rlimit_nofile"], self.connections)
        self.files = self.connections + WORKER_FILES
        free = self.workers * (self.connections - self.keepalive - REQUEST_CONNECTIONS)
        self.room_line = (
            f"{free} ({self.workers} {'worker' if self.workers == 1 else 'workers'} x ({self.connections} worker"
            f" connections - {self.keepalive} kept to the service - {REQUEST_CONNECTIONS} for requests))"
        )

    def add_rows(self) -> None:
        row, origin = self.part.row, self.settings.origin
        row("worker connections", self.connections, origin("nginx_worker_connections"), self.room_line)
        files = f"{self.connections} connections + {WORKER_FILES} = {self.files}"
        rlimit = self.rlimit or "the host's own"
        row("open files per worker", rlimit, origin("nginx_worker_rlimit_nofile", "chosen"), files)
        if self.settings.has("nginx_body_limit"):
            self._add_bodies()
        if not self.serves_websockets:
            return
        row("WebSockets per process", self.each, origin("service_websocket_max_connections"))
        processes = f"as many as the app hosts choose x {self.each}"
        if self.instances:
            per_host = f"{self.instances} instances x {self.each}"
            row("WebSockets per host", self.instances * self.each, "sum", per_host)
            hosts = f" x {self.servers} servers" if self.servers > 1 else ""
            processes = f"{self.instances} instances{hosts} x {self.each} = {self.of_processes}"
        chosen = origin("nginx_websocket_max_connections", "chosen")
        row("WebSockets at the proxy", self.total or "no limit", chosen, f"{processes}, room for {self.room}")

    def _add_bodies(self) -> None:
        """What arrives at a time is no part of the disk's sum: a tenth of it at most, for the time of an upload."""
        space, longest = bodies_mb(self.settings.mounts), str(self.settings.values["nginx_body_limit"])
        of_address, of_all = (limit["connections"] for limit in body_limits(space, longest)[-2:])
        uploads = f"while they arrive; uploads of up to {longest}: {of_all} at a time, {of_address} of an address"
        self.part.row("bodies of requests", f"{space}M", "chosen", uploads)

    def refuse_too_few(self) -> None:
        """Connections, where somebody asked for more WebSockets than the workers carry, or files."""
        is_set = self.settings.is_set
        own_limit = is_set("nginx_websocket_max_connections") and self.total
        if self.room < 1:
            least = self.keepalive + REQUEST_CONNECTIONS + 2
            advice = advise(f"nginx_worker_connections to {least} or more")
            self.part.refuse("nginx_upstream_keepalive", f"leaves no connection: {self.room_line}. {advice}")
        elif not self.serves_websockets:
            pass
        elif self.total > self.room:
            self._refuse_excess("nginx_websocket_max_connections", self.total, self.room)
        elif self.of_processes > self.room and is_set("service_websocket_max_connections") and not own_limit:
            each = self.room // (self.instances * self.servers)
            self._refuse_excess("service_websocket_max_connections", self.of_processes, each)
        if 0 < self.rlimit < self.files:
            self.part.refuse(
                "nginx_worker_rlimit_nofile",
                f"a worker has too few files for its connections: {self.connections} worker connections"
                f" + {WORKER_FILES} = {self.files}, of {self.rlimit}."
                f" {advise(f'nginx_worker_rlimit_nofile to {self.files} or more')}",
            )

    def _refuse_excess(self, variable: str, desired: int, works: int) -> None:
        needed = -(-2 * desired // self.workers) + self.keepalive + REQUEST_CONNECTIONS
        advice = advise(f"{variable} to {works}" if works else "", f"nginx_worker_connections to {needed}")
        sum_ = f"{desired} WebSockets x 2 = {desired * 2}, of {self.room_line}"
        self.part.refuse(variable, f"not enough connections of Nginx: {sum_}. {advice}")

    def add_notes(self) -> None:
        if self.total > self.of_processes > 0:
            self.part.notes.append(
                f"nginx_websocket_max_connections {self.total} is more than the processes take, {self.of_processes}:"
                " they refuse the rest themselves, with code 4029"
            )
        if self.desired == "auto" and self.room < self.of_processes:
            self.part.notes.append(
                f"the processes take {self.of_processes} WebSockets, Nginx carries {self.room}: with more"
                " nginx_worker_connections it carries more"
            )


def _instances_elsewhere(settings: Settings) -> int:
    """Return the instances of each app host as a host sees them that runs none itself: 0 where they choose."""
    desired = settings.values.get("service_instances", "max")
    return 0 if desired == "max" else int(desired)


def files_part(core: Plan, settings: Settings) -> Part:
    """The files of one process of the service; a socket is a file."""
    part = Part("open files of a process")
    if not settings.has("pm2_open_files", "service_websocket_max_connections"):
        return part
    limit, each = settings.number("pm2_open_files"), settings.number("service_websocket_max_connections")
    kept = core.desired.cores * int(settings.values.get("nginx_upstream_keepalive", 0))
    others = core.pool_max + kept + PROCESS_FILES
    line = (
        f"{each} WebSockets + {core.pool_max} database connections + {kept} that Nginx keeps"
        f" + {PROCESS_FILES} requests and files = {each + others}"
    )
    part.row("open files", limit, settings.origin("pm2_open_files"), line)
    if each + others > limit:
        fewer = f"service_websocket_max_connections to {limit - others}" if limit > others else ""
        advice = advise(f"pm2_open_files to {each + others} or more", fewer)
        part.refuse("pm2_open_files", f"a process has too few files: {line}, of {limit}. {advice}")
    return part
