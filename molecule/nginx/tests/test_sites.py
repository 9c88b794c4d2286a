# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sites of two services side by side: whose the files are, and what is served."""

from __future__ import annotations

import json

import pytest
from certificates import issue
from nginx_sites import CONFIG, STATE, answer, applied, files, nginx_site, site
from testinfra.host import Host

pytestmark = pytest.mark.usefixtures("answered")

SERVICES = ("workbot", "shop")


def test_each_service_has_a_record_of_its_own_files(host: Host) -> None:
    records = {name: json.loads(host.file(f"{STATE}/{name}.json").content_string) for name in SERVICES}
    paths = [path for record in records.values() for path in record["files"]]
    assert len(paths) == len(set(paths)) >= len(SERVICES)
    for path in paths:
        assert host.file(f"{CONFIG}/{path}").exists
    for name, record in records.items():
        assert all(name in path for path in record["files"]), record
    assert host.file(STATE).mode == 0o700


@pytest.mark.usefixtures("restored")
def test_a_site_comes_and_goes_beside_the_others(host: Host, address: str) -> None:
    """With TLS, whose certificate is then replaced; a WebSocket of another site is proved, and nothing is left."""
    before = files(host)
    first, second = (issue("other.test", names=["other.test"]) for _number in range(2))

    def other(pem: str, key: str) -> dict[str, object]:
        text = (
            "server {\n  listen 80;\n  listen 8443 ssl;\n  server_name other.test;\n  location = / { return 200 hi; }\n"
            "  ssl_certificate other/chain.pem;\n  ssl_certificate_key other/key.pem;\n}\n"
        )
        return {
            "name": "other",
            "files": [
                {"path": "conf.d/other.conf", "content": text},
                {"path": "other/chain.pem", "content": pem},
            ],
            "secret_files": {"other/key.pem": key},
            "certificates": [{"certificate": "other/chain.pem", "key": "other/key.pem", "names": ["other.test"]}],
            "probes": [
                {"url": "http://other.test/", "address": "127.0.0.1"},
                {"url": "ws://shop.test/ws", "address": "127.0.0.1", "websocket": True},
                {"url": "https://other.test:8443/", "address": "127.0.0.1", "certificate_chain": "other/chain.pem"},
            ],
        }

    predicted = applied("--check", **other(first.pem, first.key_pem()))
    assert files(host) == before
    result = applied(**other(first.pem, first.key_pem()))
    assert result["changed_files"] == predicted["changed_files"]
    assert answer(address, "/", "other.test") == "hi"
    assert host.file(f"{CONFIG}/other/key.pem").mode == 0o600
    assert not applied(**other(first.pem, first.key_pem()))["changed"]
    renewed = applied(**other(second.pem, second.key_pem()))
    assert (renewed["reloaded"], sorted(renewed["changed_files"])) == (
        True,
        [f"{CONFIG}/other/chain.pem", f"{CONFIG}/other/key.pem"],
    )
    applied(name="other", state="absent")


@pytest.mark.usefixtures("restored")
def test_a_certificate_that_somebody_else_renews_is_taken_over(host: Host) -> None:
    """As certbot does: the files are not the site's, and a run notices that they are new."""
    place = "/etc/molecule-certificates"

    def put(names: list[str]) -> None:
        issued = issue("trial.test", names=names)
        for name, text in {"chain.pem": issued.pem, "key.pem": issued.key_pem()}.items():
            host.check_output(f"mkdir -p {place} && printf '%%s' %s > {place}/{name}", text)

    options = site(
        "listen 8443 ssl;",
        f"ssl_certificate {place}/chain.pem;",
        f"ssl_certificate_key {place}/key.pem;",
        certificates=[{"certificate": f"{place}/chain.pem", "key": f"{place}/key.pem", "names": ["trial.test"]}],
        probes=[{"url": "https://trial.test:8443/", "address": "127.0.0.1", "certificate_chain": f"{place}/chain.pem"}],
    )
    try:
        put(["trial.test"])
        applied(**options)
        assert not applied(**options)["changed"]
        put(["trial.test", "www.trial.test"])
        result = applied(**options)
        assert (result["reloaded"], result["changed_files"]) == (True, [])
        assert result["renewed_certificates"] == [f"{place}/chain.pem", f"{place}/key.pem"]
        put(["other.test"])
        assert "is not for trial.test. The names in it: other.test" in nginx_site(**options)["msg"]
    finally:
        applied(**site())
        host.check_output(f"rm -r {place}")
