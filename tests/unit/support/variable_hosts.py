# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of an inventory for the check of variables: what each has beside what is right."""

from __future__ import annotations

import typing as t

from places import ROOT

SECRET = "k3J9xQ2mV7pL0sT5wZ8yB1nD4fG6hR0a"
GOOD: dict[str, t.Any] = {
    "service_name": "workbot",
    "service_database_enabled": True,
    "service_database_password": "p4ss-W0rd/of:the@db",
    "service_required_secrets": ["JWT_SECRET"],
    "service_secrets": {"JWT_SECRET": SECRET},
    "release_directory": str(ROOT / "examples/workbot"),
}
TRIAL = {"nginx_tls_enabled": True, "nginx_tls_self_signed": True}
HOSTS: dict[str, dict[str, t.Any]] = {
    "good": {},
    "texts": {
        "service_websocket_heartbeat": "5",
        "service_database_max_connections": "200",
        "service_pool_max": "1",
        "service_database_enabled": "yes",
        "nginx_tls_enabled": "no",
    },
    "socket": {"service_database_host": "/var/run/postgresql", "service_database_password": ""},
    "mine": {"service_ignored_variables": ["service_mine*"], "service_mine_too": 1},
    "trial": {"nginx_server_names": ["_", "192.0.2.7"], **TRIAL},
    "unnamed": {"service_name": None},
    "theirs": {
        "service_directory": "/etc/shop",
        "service_group": "ssl-cert",
        "service_database_user": "postgres",
        "service_database_name": "template1",
        "nginx_acme_webroot": "/tmp",
        "pm2_out_file": "/etc/passwd",
    },
    "not for that": {
        "service_name": "postgresql-backup",
        "release_shared_directories": ["node_modules"],
        "pm2_socket_variable": "PATH",
        "nginx_cleared_headers": ["host"],
        "logrotate_extra_paths": ["/etc/passwd", "/srv/workbot/shared/*.log"],
    },
    "others logs": {
        "service_log_directory": "/srv/workbot/shared",
        "pm2_out_file": "/var/log/workbot-out.log",
        "pm2_error_file": "/var/log/error logs/x.log",
    },
    "letters": {
        "nginx_server_names": "shop",
        "service_required_secrets": "JWT_SECRET",
        "service_environment": "A=1",
        "nginx_rate_limits": [{"name": "api", "paths": "/api/", "requests": 1, "window": 1}],
    },
    "late": {
        "service_ca_file": str(ROOT / "README.md"),
        "service_health_path": "/health;x",
        "nginx_server_names": ["shop.test", "a..b"],
        "nginx_rate_limits": [{"name": "api", "paths": ["/api;"], "requests": 1, "window": 1}],
        "service_websocket_paths": ["/ws;"],
        "logrotate_extra_paths": ["/var/log/my logs/*.log"],
        "service_database_password": "p4ss-W0rd\0of:the@db",
        "pm2_environment": {"PORT": 80, "a b": 1},
        "pm2_options": {"cron_restart": "61 * * * *"},
    },
    "overridden": {
        "pm2_environment": {"MODE": "x\0", "JWT_SECRET": "x", "SHARED": 1},
        "service_environment": {"SHARED": 2},
    },
    "socketless": {"pm2_environment": {"SOCKET": "x"}, "pm2_socket_variable": "SOCKET"},
    "seconds": {"pm2_options": {"cron_restart": "99 0 3 * * *"}},
    "daily": {"pm2_options": {"cron_restart": "@daily"}},
    "channels": {
        "alerting_urls": [
            "jsons://host/path",
            "jsons://host/path",
            f"json://host/\0{SECRET}",
        ],
        "alerting_heartbeat_url": f"https://user:{SECRET}@host.example/",
    },
    "nul passwords": {"postgresql_diagnosis_password": f"{SECRET}\0", "postgresql_admin_password": f"{SECRET}\0"},
    "header line": {"nginx_security_headers": {"X-Frame-Options\n": "DENY"}},
    "header value": {"nginx_security_headers": {"X-Frame-Options": "DENY\0"}},
    "elsewhere": {"postgresql_settings": {"data_directory": "/nope", "Port": 5433, "work_mem": "8MB"}},
    "limitless": {
        "nginx_rate_limits": [{"name": "api", "paths": [], "requests": 1, "window": 1}],
        "nginx_security_headers": {"X Frame": "DENY"},
    },
    "forgotten": {"service_database_enabled": "{{ groups.database | default([]) | length > 0 }}"},
    "plain word": {"service_database_password": "instance", "service_instances": 0},
    "same word": {"service_database_password": "horsebattery", "service_log_directory": "/srv/horsebattery staple"},
    "misspelled": {"service_databse_name": "x", "serivce_mode": "production"},
    "all at once": {
        "service_databse_name": "x",
        "SERVICE_MODE": "production",
        "nginx_port": 70000,
        "nginx_tls_key_file": "/etc/ssl/private/shop.key",
        "service_instances": 400,
    },
    "types": {
        "service_websocket_heartbeat": "abc",
        "service_mode": "prod",
        "service_name": ["x"],
        "postgresql_lock_timeout": "abc",
    },
    "sizes": {"service_heap_limit": "1.5G", "service_memory_restart_limit": "-1"},
    "numbers": {"service_instances": 0, "service_pool_max": -1, "nginx_port": 70000, "service_database_port": 0},
    "unsafe": {"service_name": "../x"},
    "undefined": {"service_log_directory": "/var/log/{{ nowhere }}"},
    "reserved": {"service_name": "nginx", "service_log_directory": "/var/log"},
    "weak": {"service_secrets": {"JWT_SECRET": "hunter2-hunter2"}, "service_database_password": "changeme"},
    "unset": {"service_secrets": {}, "service_database_password": ""},
    "template": {"service_database_password": "pa{{ss" + SECRET},
    "quotes": {"service_secrets": {"JWT_SECRET": SECRET + "'`\""}},
    "twice": {"service_environment": {"JWT_SECRET": "x", "PORT": 80}},
    "starter": {"pm2_script": "node_modules/.bin/tsx"},
    "forked": {"pm2_exec_mode": "fork", "service_instances": 3},
    "sourceless": {"release_directory": ""},
    "nowhere": {"release_directory": "/nowhere"},
    "beside": {"release_directory": "app", "service_ca_file": "ca.pem"},
    "unbeside": {"release_directory": "gone/app"},
    "lockless": {"release_directory": "bare"},
    "two_sources": {"release_archive": "https://example.org/app.tar.gz", "release_checksum": "sha256:" + "0" * 64},
    "unchecked": {"release_directory": "", "release_archive": "https://example.org/app.tar.gz"},
    "keyless": {
        "release_directory": "",
        "release_git_url": "git@host.example:app.git",
        "release_git_key": "/nowhere",
    },
    "other source": {"release_checksum": "sha256:" + "0" * 64},
    "login": {"release_directory": "", "release_git_url": f"https://me:{SECRET}@host.example/app.git"},
    "unbuilt": {"release_build": False, "release_before_build": [["make"]], "release_after_build": [["make"]]},
    "levels": {"diagnostics_thresholds": {"heap_percent": {"warning": 95}}},
    "falling": {"diagnostics_thresholds": {"certificate_days": {"warning": 7, "critical": 21}}},
    "nameless levels": {"diagnostics_thresholds": {"heap": {"warning": 70}}},
    "flat levels": {"diagnostics_thresholds": {"heap_percent": 70}},
    "high levels": {"diagnostics_thresholds": {"disk_percent": {"critical": 101}}},
    "slow levels": {"diagnostics_thresholds": {"answer_ms": {"critical": 1000}}},
    "schema": {"postgresql_schema": {"src": "nowhere.sql"}},
    "tables": {
        "postgresql_schema": {"src": "db.sql"},
        "postgresql_indexes": [{"name": "idx", "table": "t"}, {"name": "old", "state": "absent"}],
    },
    "ambiguous": {"nginx_upstream_servers": [{"host": "localhost"}, {"host": "localhost.test"}]},
    "nameless": {"nginx_server_names": ["shop.test", "192.0.2.7"], **TRIAL},
    "layers": {
        "nginx_websocket_timeout": "60s",
        "nginx_worker_rlimit_nofile": 800,
        "postgresql_settings": {"max_connections": 50},
    },
    "contrary": {"service_heap_limit": "2048M", "service_memory_restart_limit": "1G", "service_instances": 400},
}
# Of these, two variables alone are asked for as well, of which only the last ones' are wrong.
PARTLY_RIGHT = ["good", "unset", "sizes", "sourceless", "factless"]
PARTLY_WRONG = ["unsafe", "undefined", "reserved", "misspelled"]
ROLES = [
    "service",
    "nodejs",
    "postgresql",
    "release",
    "pm2",
    "nginx",
    "logrotate",
    "diagnostics",
    "alerting",
    "metrics",
    "report",
]
# The plan needs cores and memory; any machine's will do, for all hosts.
FACTS = {
    "ansible.builtin.setup": {"gather_subset": ["!all", "!min", "hardware", "distribution"]},
    "delegate_to": "localhost",
    "run_once": True,
}
PLAYBOOK = [
    {"hosts": "all:!localhost:!factless", "gather_facts": False, "tasks": [FACTS]},
    {
        "hosts": "all:!localhost",
        "gather_facts": False,
        "vars": {"partly": [*PARTLY_RIGHT, *PARTLY_WRONG]},
        "pre_tasks": [
            {"workbot.stability.validate_variables": {}, "register": "checked", "ignore_errors": True},
            {
                "workbot.stability.validate_variables": {"variables": ["service_name", "service_log_directory"]},
                "when": "inventory_hostname in partly",
                "register": "named",
                "ignore_errors": True,
            },
            # of all hosts at once: a task for each takes longer than the check itself
            {
                "ansible.builtin.copy": {
                    "content": "{{ {'checked': checks, 'partly': parts} | to_json }}",
                    "dest": "{{ inventory_dir }}/results.json",
                    "mode": "0600",
                },
                "vars": {
                    "all": "{{ ansible_play_hosts_all }}",
                    "checks": "{{ dict(all | zip(all | map('extract', hostvars, 'checked'))) }}",
                    "parts": "{{ dict(partly | zip(partly | map('extract', hostvars, 'named'))) }}",
                },
                "run_once": True,
                "delegate_to": "localhost",
                "check_mode": False,
            },
            {"ansible.builtin.meta": "end_play"},
            # as deploy.yml, which has a part of it before the others; its variables are checked once all the same
            {"ansible.builtin.import_role": {"name": "workbot.stability.service", "tasks_from": "ours.yml"}},
        ],
        "roles": [f"workbot.stability.{role}" for role in ROLES],
    },
]
