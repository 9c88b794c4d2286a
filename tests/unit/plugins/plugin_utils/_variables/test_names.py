# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that no role has, against all variables that the roles and the playbooks have."""

from __future__ import annotations

import time

import pytest
import yaml
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.check import (
    RoleVariables,
    unknown_variables,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.run import unknown_playbook_variables
from places import ROOT


def _roles() -> list[RoleVariables]:
    files = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    specs = {file.parents[1].name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}
    return [RoleVariables(name, spec["argument_specs"]["main"].get("options", {})) for name, spec in specs.items()]


ROLES = _roles()
PLAYBOOKS = list(yaml.safe_load((ROOT / "playbooks/vars/playbooks.yml").read_text(encoding="utf-8")))


def told(*names: str) -> dict[str, str]:
    """What is said of each name, before the words on names of the user's own."""
    problems = unknown_variables(names, ROLES, [role.role for role in ROLES], [])
    problems += unknown_playbook_variables(names, (), PLAYBOOKS, [])
    return {problem.name: problem.message.split("; ")[1].partition(" If it is yours")[0] for problem in problems}


MEANT = {
    # case and underscores
    "SERVICE_NAME": "service_name",
    "Nginx_port": "nginx_port",
    "serviceName": "service_name",
    "serviceinstances": "service_instances",
    "nginxserver_names": "nginx_server_names",
    "releasekeep": "release_keep",
    "pm2script": "pm2_script",
    "log_rotate_maxsize": "logrotate_maxsize",
    "watch_dog_enabled": "watchdog_enabled",
    "DEPLOY_SERIAL": "deploy_serial",
    "restoretime": "restore_time",
    # other names of the same thing
    "pg_settings": "postgresql_settings",
    "postgres_settings": "postgresql_settings",
    "node_version": "nodejs_version",
    "alert_url": "alerting_urls",
    "alert_urls": "alerting_urls",
    "certbot_email": "nginx_acme_email",
    "service_domain": "nginx_server_names",
    "service_port": "pm2_listen_port",
    # slips of the hand, in the prefix, in the rest or in both
    "ngnix_port": "nginx_port",
    "nginx_prot": "nginx_port",
    "serivce_nmae": "service_name",
    "services_name": "service_name",
    "ervice_name": "",
    "service_databse_name": "service_database_name",
    "nginx_server_name": "nginx_server_names",
    "postgressql_settings": "postgresql_settings",
    "nodjs_version": "nodejs_version",
    "service_secret": "service_secrets",
    "deploy_serail": "deploy_serial",
    "rollback_relase": "rollback_release",
    # words cut short
    "backup_dir": "backup_directory",
    "service_env": "service_environment",
}


@pytest.mark.parametrize("name", MEANT)
def test_a_name_nearly_right_is_told_the_right_one(name: str) -> None:
    right = MEANT[name]
    assert told(name) == ({name: f"did you mean {right}?"} if right else {})


@pytest.mark.parametrize("name", ["service_memory", "nginx_vhosts", "release_keep_count", "postgresql_databases"])
def test_a_name_of_a_role_that_resembles_none_is_told_none(name: str) -> None:
    assert told(name) == {name: "see the role's README."}


# From the inventories of other people: variables of well-known roles and collections, of Ansible, and their own.
FOREIGN = """
    ansible_host ansible_port ansible_user ansible_become_password ansible_python_interpreter ansible_ssh_common_args
    ansible_facts ansible_check_mode ansible_service_mgr ansible_nodename ansible_distribution ansible_play_hosts
    inventory_hostname inventory_dir group_names groups hostvars playbook_dir role_name role_path omit environment vars
    __nginx_port __service_name _service_name __postgresql_settings
    app apps web webservers database databases db proxy proxies monitor backups services releases node nodes servers
    production staging region domain domains domain_name email admin_email timezone locale hostname fqdn ports port
    server_name server_names server_user server_group server_address server_mode server_port server_directory
    app_name app_user app_directory app_port app_environment app_release app_version my_service_name our_nginx_port
    user_name users user_groups node_exporter_version node_exporter_web_listen_address node_exporter_textfile_dir
    node_env node_name node_id node_labels nodes_count nodesource_version nvm_version npm_registry npm_config_prefix
    pg_hba pg_host pg_user pg_password pg_port pg_data pg_version pgbouncer_settings pgbackrest_repo pghero_url
    postgres_user postgres_password postgres_host postgres_db postgres_version postgres_exporter_version
    certbot_admin_email certbot_create_method certbot_auto_renew certbot_certs letsencrypt_domains
    acme_directory acme_domains acme_account acme_email letsencrypt_email
    alertmanager_url alertmanager_config alerta_url alert_rules alerts alert_email alert_webhook alert_manager_url
    prometheus_targets prometheus_retention prometheus_alert_rules grafana_url grafana_port loki_url
    metric_server metrology_url telegraf_agent_interval statsd_host
    docker_users docker_compose_version podman_version redis_port redis_bind mysql_databases mariadb_version
    haproxy_frontend_port apache_port apache_vhosts caddy_port traefik_port php_fpm_pools php_memory_limit
    security_ssh_port firewall_allowed_tcp_ports ufw_rules fail2ban_jails swap_file_size sysctl_config ntp_servers
    systemd_units supervisor_programs monit_services logstash_port logging_level log_level log_directory log_retention
    loggly_token rotate_keep logwatch_email rsyslog_mode journald_max_size
    borgbackup_repo restic_repo backblaze_bucket bacula_port
    deployment_user deployer deploy_user deploy_key deploy_host deploy_path deploy_branch deploy_server
    rollback_count rollback_hook drain_timeout maintenance_window maintenance_page maintenance_contact
    removed_users remove_packages removable restore_user restore_host restore_from planet planner_url plan_name
    drift_detection page_title pages pager_duty_key pagerduty_url
    serve_port served_by servicenow_url servicedesk_email sentry_dsn reporter_email reportportal_url
    ngrok_port nginy nginxinc_version watchtower_enabled watcher_url dog_enabled
    pm_max_children pm_options pms pm25_limit exporter_port exported_vars diagnose_url
    release service nginx
    vault_service_name vault_nginx_port secret_service_secrets common_packages
"""


def test_names_of_others_pass() -> None:
    assert told(*FOREIGN.split()) == {}


def test_a_thousand_names_take_no_time() -> None:
    names = [f"service{number}_{rest}" for number in range(100) for rest in ("port", "name", "database_url") * 3]
    start = time.process_time()
    told(*names)
    assert time.process_time() - start < 1
