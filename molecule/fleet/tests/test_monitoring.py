# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporters of each host: the monitor reads them over TLS, and nobody else does."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from certificates import issue
from databases import sql
from fleet import APPS, DATABASE, MONITOR, PROXIES, address_of, apply, drift, site
from hosts import host_of, power_off, power_on, reached
from waiting import until

NODE, POSTGRESQL = 9100, 9187
POSTGRESQL_EXPORTER = "prometheus-postgres-exporter.service"
WATCHED = (*APPS, *PROXIES, DATABASE)
EXPORTERS = [*((name, NODE) for name in WATCHED), (DATABASE, POSTGRESQL)]
TLS = "/etc/prometheus/exporter-tls"
MONITOR_TLS = "/etc/prometheus/monitor-tls"
DROP_IN = "/etc/systemd/system/prometheus-node-exporter.service.d/monitor.conf"
IN_USE = "SELECT count(*) BETWEEN 1 AND 3 FROM pg_stat_activity WHERE usename = 'prometheus'"
# Superuser, further powers, connections, groups.
ROLE = """
SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls, rolconnlimit,
  ARRAY(SELECT roleid::regrole FROM pg_auth_members WHERE member = r.oid)
FROM pg_roles r WHERE rolname = 'prometheus'
"""


@dataclass(frozen=True)
class Client:
    """Who trusts an authority, and may have a certificate."""

    authority: str
    certificate: Path | None = None

    def metrics(self, name: str, port: int, known_as: str = "") -> str:
        """What the exporter says; OSError, of which those of TLS are, where either end refuses the other."""
        context = ssl.create_default_context(cadata=self.authority)
        if self.certificate:
            context.load_cert_chain(self.certificate)
        address = address_of(name)
        with (
            socket.create_connection((address, port), 10) as connection,
            context.wrap_socket(connection, server_hostname=known_as or address) as channel,
        ):
            channel.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            head, _end, body = b"".join(iter(lambda: channel.recv(65536), b"")).decode().partition("\r\n\r\n")
        assert " 200 " in head, head
        return body


def pair_of(name: str, directory: str, folder: Path) -> Path:
    """A host's certificate with its key."""
    files = [host_of(name).file(f"{directory}/server.{suffix}").content_string for suffix in ("pem", "key")]
    path = folder / f"{name}.pem"
    path.write_text("".join(files), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Client:
    authority = host_of(MONITOR).file(f"{MONITOR_TLS}/authority.pem").content_string
    return Client(authority, pair_of(MONITOR, MONITOR_TLS, tmp_path_factory.mktemp("monitor")))


@pytest.mark.parametrize(("name", "port"), EXPORTERS)
def test_the_monitor_reads_it_by_address_and_by_name(monitor: Client, name: str, port: int) -> None:
    for known_as in ("", name):
        said = monitor.metrics(name, port, known_as)
        assert f'nodename="{name}"' in said if port == NODE else "\npg_up 1\n" in said
    with pytest.raises(ssl.SSLCertVerificationError):
        monitor.metrics(name, port, "fleet.test")


@pytest.mark.parametrize("name", APPS)
def test_the_metrics_of_the_service_are_among_them(monitor: Client, name: str) -> None:
    assert 'nodejs_service_state{service="workbot",state="healthy"}' in monitor.metrics(name, NODE)


@pytest.mark.parametrize(("name", "port"), EXPORTERS)
def test_nobody_else_is_answered(monitor: Client, tmp_path: Path, name: str, port: int) -> None:
    """Neither who has no certificate, nor a foreign or self-made one, nor the one of another host's exporters."""
    foreign = issue(MONITOR)
    forged = tmp_path / "forged.pem"
    forged.write_text(foreign.pem + foreign.key_pem(), encoding="utf-8")
    others = pair_of(next(one for one in WATCHED if one != name), TLS, tmp_path)
    for certificate in (None, forged, others):
        with pytest.raises(OSError, match=r"alert|reset|EOF"):
            replace(monitor, certificate=certificate).metrics(name, port)


@pytest.mark.parametrize(("name", "port"), EXPORTERS)
def test_without_tls_it_says_nothing(name: str, port: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{address_of(name)}:{port}/metrics", timeout=10)
    assert refused.value.code == 400


@pytest.mark.parametrize("name", [*WATCHED, MONITOR])
def test_they_listen_where_they_are_asked_and_nowhere_else(name: str) -> None:
    found = host_of(name).check_output("ss --no-header --listening --tcp --numeric").splitlines()
    listening = {at for at in (line.split()[3] for line in found) if at.endswith((f":{NODE}", f":{POSTGRESQL}"))}
    at = "127.0.0.1" if name == MONITOR else "*"
    assert listening == {f"{at}:{NODE}", *([f"{at}:{POSTGRESQL}"] if name == DATABASE else [])}


def test_each_host_has_a_key_of_its_own_that_it_alone_reads() -> None:
    keys = set()
    for name in WATCHED:
        file = host_of(name).file(f"{TLS}/server.key")
        assert (file.user, file.mode) == ("prometheus", 0o600)
        keys.add(file.content_string)
    assert len(keys) == len(WATCHED)
    assert not host_of(WATCHED[0]).file(f"{TLS}/authority.key").exists


def test_postgresql_lets_its_exporter_see_statistics_and_no_data(monitor: Client) -> None:
    host = host_of(DATABASE)
    monitor.metrics(DATABASE, POSTGRESQL)
    assert sql(host, IN_USE) == "t"
    assert sql(host, ROLE) == "f|3|{pg_monitor}"
    login = "cd / && runuser -u %s -- psql --no-password --username=prometheus --dbname=%s --command='SELECT 1'"
    assert host.run(login, "prometheus", "postgres").rc == 0
    assert "no pg_hba.conf entry" in host.run(login, "prometheus", "workbot").stderr
    # by its name alone nobody is the exporter
    assert "Peer authentication failed" in host.run(login, "www-data", "postgres").stderr


def test_what_drifts_is_repaired_and_the_key_stays(monitor: Client, tmp_path: Path) -> None:
    key = host_of(DATABASE).file(f"{TLS}/server.key").content_string
    changes = {
        APPS[0]: f"sed -i s/Require.*/NoClientCert/ {TLS}/web.yml && systemctl restart prometheus-node-exporter",
        APPS[1]: f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart prometheus-node-exporter",
        APPS[2]: f"rm {TLS}/server.key",
        PROXIES[0]: f"cp {TLS}/authority.pem {TLS}/server.pem",
        PROXIES[1]: "systemctl disable --now prometheus-node-exporter",
        DATABASE: f"chmod 0644 {TLS}/server.key; echo >{TLS}/authority.pem; systemctl stop {POSTGRESQL_EXPORTER}",
    }
    for name, change in changes.items():
        host_of(name).check_output(change)
    said = drift(tmp_path)
    assert {name for name, one in said.items() if one["state"] == "differs"} == set(changes)
    assert {one["role"] for name in changes for one in said[name]["differences"]} == {"exporters"}
    changed = site("--tags=metrics")
    assert {name for name, count in changed.items() if count} == set(changes)
    for name, port in EXPORTERS:
        assert monitor.metrics(name, port)
        with pytest.raises(OSError, match=r"alert|reset|EOF"):
            replace(monitor, certificate=None).metrics(name, port)
    assert host_of(DATABASE).file(f"{TLS}/server.key").content_string == key
    assert set(site("--tags=metrics").values()) == {0}


def test_while_the_monitor_is_away_a_run_goes_on_and_a_new_host_waits(monitor: Client) -> None:
    """One that has a certificate keeps it; another one has nobody to issue it, and answers nobody."""
    kept, new = PROXIES
    host_of(new).check_output(f"systemctl stop prometheus-node-exporter && rm -r {TLS}")
    power_off(MONITOR)
    try:
        run = apply("site", "--limit=proxy", "--tags=metrics")
        assert run.returncode == 0, run.stdout + run.stderr
        said = " ".join(run.stdout.split())
        assert f"so that {kept}'s exporters keep the certificate that they have" in said
        assert f"so that {new}'s exporters do not run yet" in said
        assert monitor.metrics(kept, NODE)
        with pytest.raises(ConnectionRefusedError):
            monitor.metrics(new, NODE)
        host_of(new).check_output("systemctl restart prometheus-node-exporter")
        with pytest.raises(ConnectionRefusedError):
            monitor.metrics(new, NODE)
    finally:
        power_on(MONITOR)
        until(f"{MONITOR} is back", lambda: reached(host_of(MONITOR)))
    changed = site("--limit=proxy", "--tags=metrics")
    assert (changed[kept], changed[new] > 0) == (0, True)
    assert monitor.metrics(new, NODE)
