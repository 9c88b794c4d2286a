# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write into an inventory by mistake, and what each is told. Each of ALONE is wrong
by itself: those of different variables are on one host, which is told all of them at once."""

from __future__ import annotations

from typing import Any

TEXT, WHOLE, NUMBER, YES_NO = (
    "expected a text",
    "expected a whole number",
    "expected a number",
    "expected true or false",
)
LIST, DICTIONARY = "expected a list", "expected a dictionary"
SYSTEMS, PATH = "expected another one: this one belongs to the system", "in a directory that is not the system's"
SIZE, PORT, URL_PATH = "followed by K, M or G", "expected a port, 1 to 65535", "expected a path beginning with /"
DATA = "in a directory neither of the system nor temporary"
INSIDE, DURATION = "expected a path inside the release", "followed by ms, s, m, h or d"

# Of each variable the values, each with what is said of it.
ALONE: dict[str, tuple[tuple[Any, str], ...]] = {
    "service_group": (("ssl-cert", SYSTEMS), ("Shop", "lower-case"), (["shop"], TEXT)),
    "service_external_logs": ((["/opt/my app/out.log"], "without .., spaces"), (["/etc/passwd"], DATA)),
    "service_supervisor": (("forever", "expected one of collection, pm2, systemd, process"),),
    "service_mode": (("prod", "expected one of production, development"), (True, TEXT)),
    "service_directory": (("/", PATH), ("/etc/shop", PATH), ("/srv/../etc", PATH), ("srv/shop", PATH)),
    "service_log_directory": (("/var/log", SYSTEMS), ("/usr/log/shop", PATH), ("/var/log/my logs", PATH)),
    "service_run_directory": (
        ("/tmp/shop", "a directory of its own below /run"),
        ("/run", "below /run"),
        ("/run/workbot.stability/shop", "below /run"),
    ),
    "service_environment": (("A=1", DICTIONARY), ({"PORT": 80}, "is not to be set here"), ([1], DICTIONARY)),
    "service_secrets": (("JWT", DICTIONARY), ({"A B": "x" * 40}, "is no environment name")),
    "service_required_secrets": (("JWT_SECRET", LIST), ({"JWT_SECRET": 1}, LIST)),
    "service_secret_min_length": ((4, "8 to 4096"), ("long", WHOLE)),
    "service_health_path": (("health", URL_PATH), ("/he alth", URL_PATH), ("/health;x", URL_PATH), ("/a\nb", URL_PATH)),
    "service_instances": (("many", "1 to 512, or max"), (0, "1 to 512"), (-1, "1 to 512"), ("1.5", "1 to 512")),
    "service_heap_limit": (("2GB", SIZE), ("lots", SIZE), (-1, SIZE)),
    "service_memory_restart_limit": (("1.5G", SIZE), ("0", SIZE)),
    "service_reserved_memory": (("some", SIZE), ("-1M", SIZE)),
    "service_log_level": (("verbose", "expected one of fatal, error, warn"),),
    "service_websocket_max_connections": ((0, "1 to 1000000"), ("x", WHOLE), (True, WHOLE)),
    "service_websocket_heartbeat": ((0, "1 to 86400"), (1.5, WHOLE)),
    "service_websocket_paths": (
        ("/ws", LIST),
        (["ws"], URL_PATH),
        (["/ws;"], URL_PATH),
        ([None], "has no value"),
        ([["/ws"]], TEXT),
    ),
    "service_rate_limit_requests": ((0, "1 to 1000000"), ("10/s", WHOLE)),
    "service_rate_limit_window": ((0, "1 to 86400"), ("10s", WHOLE)),
    "service_database_enabled": (("y", YES_NO), ("maybe", YES_NO), (2, YES_NO)),
    "service_database_host": (("db host", "expected an address"), ("-db", "expected an address")),
    "service_database_port": ((0, PORT), (65536, PORT), ("pg", WHOLE)),
    "service_database_name": (("template1", SYSTEMS), ("Shop", "lower-case"), ("my-shop", "lower-case")),
    "service_database_user": (
        ("postgres", "none of PostgreSQL's own roles"),
        ("pg_monitor", "none of PostgreSQL's own"),
    ),
    "service_database_tls": (("require", "expected one of"),),
    "service_database_max_connections": ((5, "10 to 262143"), ("all", WHOLE)),
    "service_pool_max": ((-1, "1 to 10000, or auto"), ("all", "or auto")),
    "service_pool_idle_timeout": ((0, "1 to 86400"), (None, "has no value")),
    "service_database_ca_file": (("/etc/hostname", "with certificates as PEM"),),
    "service_reserved_disk": (("20 GB", SIZE),),
    "service_ca_file": (("nowhere.pem", "nowhere.pem there is none"), ("/etc/hostname", "with certificates as PEM")),
    "nodejs_version": (("latest", "nodejs_version"), ("v22", "nodejs_version")),
    "nodejs_lock_file": (("gone.json", "gone.json there is none"),),
    "nodejs_source": (("nvm", "expected one of npm, debian, archive"),),
    "release_archive": (("gone.tgz", "gone.tgz there is none"), ("http://h/a.tgz", "expected an https address")),
    "release_git_key": (("/nowhere", "expected a file that exists"),),
    "release_exclude": (("*.log", LIST),),
    "release_build": (("perhaps", YES_NO),),
    "release_before_build": (([["npm", "run", "x"], "npm run y"], LIST), ("npm run x", LIST)),
    "release_shared_directories": (
        ("storage", LIST),
        (["../storage"], INSIDE),
        (["/storage"], INSIDE),
        (["node_modules"], INSIDE),
    ),
    "release_writable_directories": ((["/tmp"], INSIDE), (["a/../../b"], INSIDE)),
    "release_keep": ((0, "2 to 100"), ("all", WHOLE)),
    "pm2_args": (("--port 80", LIST), ({"port": 80}, LIST)),
    "pm2_exec_mode": (("clustered", "expected one of cluster, fork"),),
    "pm2_socket_variable": (("PATH", "that nothing else reads"), ("NODE_OPTIONS", "that nothing else reads")),
    "pm2_listen_port": ((70000, "65535"), ("http", WHOLE)),
    "pm2_environment": (
        ("A=1", DICTIONARY),
        ({"NODE_ENV": "x"}, "is not to be set here"),
        ({"A": "x\0"}, "holds a NUL"),
        ({"A B": 1}, "is no environment name"),
        ({"A": [1]}, "is not text, a number or a boolean"),
    ),
    "pm2_out_file": (("/etc/passwd", PATH), ("out.log", PATH)),
    "pm2_error_file": (("/var/log/error logs/x.log", PATH),),
    "pm2_options": (
        ({"cron_restart": "61 * * * *"}, "expected five or six cron fields"),
        ("watch", DICTIONARY),
        ({"cron_restart": "99 0 3 * * *"}, "expected five or six cron fields"),
        ({"cron_restart": "@daily"}, "expected five or six cron fields"),
    ),
    "pm2_writable_paths": ((["/srv/my data"], "without .., spaces"),),
    "pm2_migrate": (("npm run migrate", LIST),),
    "pm2_hooks": (([["x"]], DICTIONARY),),
    "nginx_port": ((99999, PORT), ("http", WHOLE), (0, PORT)),
    "nginx_server_names": (("shop", LIST), (["shop;"], "nginx_server_names[0]"), (["a..b"], "nginx_server_names[0]")),
    "nginx_cleared_headers": ((["Host"], "Nginx does not set itself"), (["x-real-ip"], "Nginx does not set itself")),
    "nginx_body_limit": (("10MB", SIZE), ("big", SIZE)),
    "nginx_read_timeout": (("60", DURATION), ("1 minute", DURATION)),
    "nginx_trusted_proxies": (("10.0.0.0/8", LIST), (["10.0.0.1/8"], "an IP address or a network")),
    "nginx_upstream_servers": (
        ([{"port": 80}], "nginx_upstream_servers[0].host"),
        ([{"host": "a", "weigth": 1}], "mean weight?"),
    ),
    "nginx_rate_limits": (
        ([{"name": "a", "paths": "/api/", "requests": 1, "window": 1}], "nginx_rate_limits[0].paths"),
        ([{"name": "a", "paths": ["/api/"], "requests": "x", "window": 1}], "nginx_rate_limits[0].requests"),
        ([{"name": "a", "paths": ["/a;b"], "requests": 1, "window": 1}], "nginx_rate_limits[0].paths[0]"),
        ({"name": "a"}, LIST),
    ),
    "nginx_security_headers": (
        ("X-Frame-Options: DENY", DICTIONARY),
        ({"X-Frame-Options": 'a"b'}, "without"),
        ({"X-A": "b\n"}, "without"),
    ),
    "nginx_tls_enabled": (("on please", YES_NO),),
    "nginx_tls_certificate": (("certificate.pem", "PEM, from -----BEGIN CERTIFICATE-----"),),
    "nginx_acme_email": (("ops", "expected an address like ops@example.com"),),
    "nginx_acme_webroot": (("/tmp", PATH), ("/etc/acme/x", PATH)),
    "nginx_worker_connections": ((1, "64 to 1048576"),),
    "logrotate_rotate": (("seven", WHOLE), (-1, "logrotate_rotate")),
    "logrotate_extra_paths": ((["/var/log/my logs/*.log"], "without .., spaces"), (["/etc/passwd"], DATA)),
    "backup_directory": (("/proc/x", DATA), ("/tmp", DATA), ("~/x", DATA)),
    "logrotate_maxsize": (("100 MB", "logrotate_maxsize"),),
    "diagnostics_hourly_schedule": (("hourly", "cron"), ("61 * * * *", "cron")),
    "diagnostics_thresholds": (({"disk": 90}, "no disk in it"), ({"disk_percent": {"warning": 99}}, "to be below")),
    "watchdog_period": ((0, "watchdog_period"), ("1s", WHOLE)),
    "watchdog_restart_budget": (("none", WHOLE),),
    "alerting_urls": (
        ("json://h", LIST),
        (["example.com"], "an Apprise URL"),
        (["json://h", "json://h"], "is there twice"),
    ),
    "alerting_heartbeat_url": (("ping", "an http:// or https:// address"), ("https://u:p@h", "without a login")),
    "alerting_language": (("de", "expected one of en, zh"),),
    "metrics_textfile_directory": (("/etc", PATH), ("/etc/prometheus", PATH)),
    "postgresql_admin_password": (("4s\0", "without a NUL byte"),),
    "postgresql_diagnosis_password": (("4s\0", "without a NUL byte"),),
    "postgresql_extensions": (("citext", LIST), (["a b"], "the name of an extension")),
    "postgresql_preload_libraries": ((["a;b"], "postgresql_preload_libraries[0]"),),
    "postgresql_indexes": (([{"table": "t"}], "postgresql_indexes[0].name"), ("idx", LIST)),
    "postgresql_schema": (({"src": "gone.sql", "creates": "t"}, "postgresql_schema.src = gone.sql"),),
    "postgresql_lock_timeout": (("10s", WHOLE),),
    "serivce_mode": (("production", "did you mean service_mode?"),),
    "alert_urls": (([], "did you mean alerting_urls?"),),
    "nginx_prot": ((80, "did you mean nginx_port?"),),
}
# What is seen when each is right by itself, or only on the host: one on each.
TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    "secret": ({"service_required_secrets": ["JWT_SECRET"]}, "service_secrets.JWT_SECRET"),
    "weak": ({"service_secrets": {"K": "short"}, "service_required_secrets": ["K"]}, "has 5 characters, at least 32"),
    "forgotten": ({"service_database_password": "p" * 30 + "4s"}, "service_database_enabled (forgotten"),
    "empty": ({"service_database_enabled": True}, "or set service_database_enabled to false"),
    "nul": (
        {"service_database_enabled": True, "service_database_password": "4s\0" + "pq9z" * 8},
        "has a NUL byte, which no environment can hold",
    ),
    "twice": ({"service_environment": {"A": 1}, "service_secrets": {"A": "x" * 40}}, "is in service_secrets too"),
    "overridden": ({"service_environment": {"A": 1}, "pm2_environment": {"A": 2}}, "is in service_environment too"),
    "overridden secret": (
        {"service_secrets": {"A": "x9" * 20}, "pm2_environment": {"A": 2}},
        "is in service_secrets too",
    ),
    "socketless": (
        {"pm2_environment": {"SOCKET": 1}, "pm2_socket_variable": "SOCKET"},
        "or pm2_environment sets it too",
    ),
    "header of two lines": ({"nginx_security_headers": {"X-Frame\n": "DENY"}}, "which is no name of a header"),
    "inside": ({"service_log_directory": "/srv/probe/shared"}, "must be a directory of its own"),
    "around": ({"service_log_directory": "/srv/probe"}, "must be a directory of its own"),
    "unrotated": ({"pm2_out_file": "/var/log/probe.log"}, "must be a file in service_log_directory (/var/log/probe)"),
    "starter": ({"pm2_script": "node_modules/.bin/tsx"}, "only starts another process"),
    "copies": ({"service_overlap": False, "service_instances": 2}, "never two may run where service_overlap is false"),
    "hooks": ({"pm2_hooks": {"after_deploy": [["x"]]}}, "after_deploy is no point between the steps"),
    "sources": ({"release_archive": "https://example.org/a.tgz"}, "release_directory, release_archive"),
    "pathless": (
        {"nginx_rate_limits": [{"name": "a", "paths": [], "requests": 1, "window": 1}]},
        "a limit has no paths; [/] stands for all of them",
    ),
    "headless": ({"nginx_security_headers": {"X Frame": "DENY"}}, "has X Frame, which is no name of a header"),
    "nameless": ({"nginx_server_names": []}, "is empty; [_] stands for every name"),
    "a name twice": ({"nginx_server_names": ["a.test", "A.test"]}, "has a name twice"),
    "a zone of the role's own": (
        {"nginx_rate_limits": [{"name": "clients", "paths": ["/"], "requests": 1, "window": 1}]},
        "a limit must have another name than upstream, clients",
    ),
    "a key where the service writes": (
        {"nginx_tls_certificate_file": "/srv/probe/shared/a.pem", "nginx_tls_key_file": "/etc/ssl/a.key"},
        "must not be in /srv/probe, where the service may put anything in its place",
    ),
    "hidden": ({"service_websocket_paths": ["/health"]}, "must be a path of its own"),
    "keyless": ({"nginx_tls_certificate_file": "/etc/ssl/a.pem"}, "goes with nginx_tls_certificate_file; both or none"),
    "for nobody": (
        {"nginx_acme_email": "ops@a.test"},
        "needs the names that the certificate is for in nginx_server_names",
    ),
    "for all": (
        {"nginx_acme_email": "ops@a.test", "nginx_server_names": ["*.a.test"]},
        "has a wildcard or an address, for which nginx_acme_email gets no certificate",
    ),
    "two of them": (
        {"nginx_acme_email": "ops@a.test", "nginx_server_names": ["a.test"], "nginx_tls_self_signed": True},
        "needs one certificate, from exactly one of these: nginx_acme_email",
    ),
    "elsewhere": ({"postgresql_settings": {"data_directory": "/nope"}}, "data_directory can't be set here"),
    "narrow": ({"service_memory_restart_limit": "64M", "service_heap_limit": "2048M"}, "service_memory_restart_limit"),
    "greedy": ({"service_instances": 400}, "service_instances"),
    "vast": ({"service_reserved_disk": "900000G"}, "921600000M reserved"),
    "logs of Nginx": ({"service_log_directory": "/var/log/nginx"}, "service_log_directory: /var/log/nginx is foreign"),
    "sockets of systemd": (
        {"service_run_directory": "/run/systemd"},
        "service_run_directory: /run/systemd is foreign",
    ),
    "group of others": ({"service_group": "pages"}, "service_group: pages is a group of pages"),
    "user of others": ({"service_user": "_apt"}, "service_user: the host has a user _apt"),
}


def hosts() -> dict[str, tuple[dict[str, Any], list[str]]]:
    """By name the variables of a host, and what is said of it."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for number in range(max(map(len, ALONE.values()))):
        rows = {name: values[number] for name, values in ALONE.items() if number < len(values)}
        found[f"row {number}"] = (
            {name: value for name, (value, _said) in rows.items()},
            [said for _value, said in rows.values()],
        )
    return found | {name: (variables, [said]) for name, (variables, said) in TOGETHER.items()}
