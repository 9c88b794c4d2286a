# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sslyze says to the TLS of a port of the test host: by Mozilla's profiles, and by what spoils a grade A."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sslyze
from hosts import HOST, SSH_CONFIG
from sslyze.mozilla_tls_profile.tls_config_checker import (
    MozillaTlsConfiguration,
    ServerNotCompliantWithTlsConfiguration,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)

OLD = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
SAFE_FROM_ROBOT = (
    sslyze.RobotScanResultEnum.NOT_VULNERABLE_NO_ORACLE,
    sslyze.RobotScanResultEnum.NOT_VULNERABLE_RSA_NOT_SUPPORTED,
)


def scanned(port: int, name: str, root: Path) -> sslyze.ServerScanResult:
    """The port as a client sees it who asks for that name and trusts that root, in a file."""
    trust = sslyze.ScanCommandsExtraArguments(certificate_info=sslyze.CertificateInfoExtraArgument(root))
    with _forwarded(port) as here:
        scanner = sslyze.Scanner()
        where = sslyze.ServerNetworkLocation(name, here, "127.0.0.1")
        scanner.queue_scans([sslyze.ServerScanRequest(where, scan_commands_extra_arguments=trust)])
        (found,) = scanner.get_results()
    assert found.scan_result, found.connectivity_error_trace
    return found


def violations(found: sslyze.ServerScanResult, profile: str) -> dict[str, str]:
    """Of Mozilla's profile of that name, by the name of the rule."""
    try:
        check_server_against_tls_configuration(found, MozillaTlsConfiguration.get(TlsConfigurationEnum(profile)))
    except ServerNotCompliantWithTlsConfiguration as error:
        return error.issues
    return {}


def weaknesses(found: sslyze.ServerScanResult) -> list[str]:
    """For which SSL Labs and testssl give less than A."""
    results: dict[str, Any] = {command: getattr(found.scan_result, command).result for command in sslyze.ScanCommand}
    suites = [
        suite
        for version in (*OLD, "tls_1_2", "tls_1_3")
        for suite in results[f"{version}_cipher_suites"].accepted_cipher_suites
    ]
    chains = results["certificate_info"].certificate_deployments
    renegotiation = results["session_renegotiation"]
    judged = {
        "no cipher suite": not suites,
        "old protocol": any(results[f"{version}_cipher_suites"].is_tls_version_supported for version in OLD),
        "no forward secrecy": any(suite.ephemeral_key is None for suite in suites),
        "untrusted": not all(chain.verified_certificate_chain for chain in chains),
        "chain in disorder": not all(chain.received_chain_has_valid_order for chain in chains),
        "chain with its root": any(chain.received_chain_contains_anchor_certificate for chain in chains),
        "SHA-1": any(chain.verified_chain_has_sha1_signature for chain in chains),
        "Heartbleed": results["heartbleed"].is_vulnerable_to_heartbleed,
        "CCS injection": results["openssl_ccs_injection"].is_vulnerable_to_ccs_injection,
        "ROBOT": results["robot"].robot_result not in SAFE_FROM_ROBOT,
        "CRIME": results["tls_compression"].supports_compression,
        "insecure renegotiation": not renegotiation.supports_secure_renegotiation,
        "renegotiation by clients": renegotiation.is_vulnerable_to_client_renegotiation_dos,
        "no fallback SCSV": not results["tls_fallback_scsv"].supports_fallback_scsv,
        "early data": results["tls_1_3_early_data"].supports_early_data,
    }
    return [weakness for weakness, is_there in judged.items() if is_there]


def resumed(found: sslyze.ServerScanResult) -> Any:
    """How many sessions of TLS 1.2 a client could go on with."""
    return found.scan_result.session_resumption.result.session_id_successful_resumptions_count


@contextmanager
def _forwarded(port: int) -> Iterator[int]:
    """A port of this machine that leads to the host's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = free.getsockname()[1]
    way = f"127.0.0.1:{here}:127.0.0.1:{port}"
    running = subprocess.Popen(["ssh", "-F", SSH_CONFIG, "-o", "ExitOnForwardFailure=yes", "-N", "-L", way, HOST])
    try:
        deadline = time.monotonic() + 20
        while not _listens(here):
            assert running.poll() is None and time.monotonic() < deadline, f"no way to port {port} of the host"
            time.sleep(0.1)
        yield here
    finally:
        running.terminate()
        running.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
