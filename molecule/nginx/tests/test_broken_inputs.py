# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken inputs that are refused before the first file changes. Clients of three sites notice none of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import issue
from hosts import playbook
from nginx_sites import CONFIG, STATE, TRIAL, applied, mounted, refused, site
from testinfra.host import Host

pytestmark = pytest.mark.usefixtures("answered", "untouched")

AUTHORITY = issue("Authority", authority=True)
GOOD = issue("trial.test", AUTHORITY, names=["trial.test"])
EXPIRED = issue("trial.test", begins=-30, ends=-3, names=["trial.test"])
EARLY = issue("trial.test", begins=3, names=["trial.test"])
OTHER = issue("other.test", names=["other.test"])
SNIPPET = "snippets/molecule-trial.conf"


def with_snippet(text: str) -> dict[str, Any]:
    return site(f"include {SNIPPET};", files=[{"path": SNIPPET, "content": text}])


def with_certificate(pem: str, key: str, **wanted: Any) -> dict[str, Any]:
    return site(
        "listen 8443 ssl;",
        "ssl_certificate molecule/chain.pem;",
        "ssl_certificate_key molecule/key.pem;",
        files=[{"path": "molecule/chain.pem", "content": pem}],
        secret_files={"molecule/key.pem": key},
        certificates=[
            {"certificate": "molecule/chain.pem", "key": "molecule/key.pem", "names": ["trial.test"], **wanted}
        ],
    )


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown directive": (
        site("prox_pass http://127.0.0.1;"),
        rf'unknown directive "prox_pass" in {CONFIG}/{TRIAL}:5\n(.*\n)+>    5 \|     prox_pass http',
    ),
    "a snippet without a semicolon": (
        with_snippet("add_header X-A a\nadd_header X-B b;\n"),
        rf"invalid number of arguments .* in {CONFIG}/{SNIPPET}:2\n(.*\n)*>    2 \| add_header X-B b;",
    ),
    "a snippet with a brace too many": (with_snippet("gzip on;\n}\n"), rf'unexpected "}}" in {CONFIG}/\S+:\d+'),
    "a snippet that ends in the middle": (with_snippet("location /a {\n"), rf"unexpected end of file.* in .*{SNIPPET}"),
    "a value that is none": (site("client_max_body_size lots;"), r'"client_max_body_size" directive invalid value'),
    "a missing module": (site("more_set_headers 'X: y';"), "unknown directive"),
    "an unresolvable upstream": (
        site("location /up { proxy_pass http://no-such-host.invalid; }"),
        r'host not found in upstream "no-such-host\.invalid"',
    ),
    "a server name of another site": (
        site("server_name shop.test;"),
        'serves the same server name already: "shop.test" on 0.0.0.0:80',
    ),
    "an upstream of another site": (
        site(head="upstream shop { server 127.0.0.1:1; }\n"),
        'duplicate upstream "shop"',
    ),
    "a zone that is not there": (site("limit_req zone=molecule;"), "zero size shared memory zone"),
    "a zone that is missing in all": (
        site("# new", limit_zones=["molecule"]),
        "limit_zones: .* named molecule. It has",
    ),
    "a certificate that is not there, for nginx": (
        site("listen 8443 ssl;", "ssl_certificate no.pem;", "ssl_certificate_key no.pem;"),
        rf'cannot load certificate "{CONFIG}/no.pem".*No such file',
    ),
    "a certificate that is not there": (
        site(certificates=[{"certificate": "no.pem", "key": "no.key"}]),
        "certificates: no.pem cannot be read: No such file",
    ),
    "a certificate with the key of another": (
        with_certificate(GOOD.pem, OTHER.key_pem()),
        "The key molecule/key.pem does not fit the first certificate in molecule/chain.pem",
    ),
    "an expired certificate": (with_certificate(EXPIRED.pem, EXPIRED.key_pem()), "expired on .*, 3 days ago"),
    "a certificate of tomorrow": (with_certificate(EARLY.pem, EARLY.key_pem()), "is not valid before"),
    "a certificate that soon expires": (
        with_certificate(GOOD.pem, GOOD.key_pem(), valid_days_left=100),
        "expires on .*; at least 100 are wanted",
    ),
    "a certificate for another name": (
        with_certificate(OTHER.pem, OTHER.key_pem()),
        "is not for trial.test. The names in it: other.test",
    ),
    "a chain in the wrong order": (
        with_certificate(GOOD.pem + OTHER.pem, GOOD.key_pem()),
        "certificate 2 of the file is not the issuer",
    ),
    "a key with a passphrase": (with_certificate(GOOD.pem, GOOD.key_pem(b"hidden")), "key.pem is encrypted"),
    "a certificate that is no text": (with_certificate("\0\1", GOOD.key_pem()), "holds no certificate in PEM form"),
    "a port of another program": (site("listen 22;", ports=[22]), "Port 22 is taken by sshd"),
    "a path outside": (site(files=[{"path": "../passwd", "content": ""}]), "is no path below"),
    "a directory in the way": (site(files=[{"path": "conf.d", "content": ""}]), "neither a file nor a link"),
    "a file that nginx does not include": (
        site(files=[{"path": "elsewhere/a.conf", "content": "gzip on;\n"}]),
        "does not include .*elsewhere/a.conf: the change would have no effect",
    ),
    "a file twice": (site(secret_files={TRIAL: ""}), f"{TRIAL} is there twice"),
    "a mode that is none": (site(files=[{"path": "a", "content": "", "mode": "rw"}]), "not of octal digits"),
    "a file of another site": (site(absent=["conf.d/shop.conf"]), "conf.d/shop.conf belongs to shop"),
    "a file of nobody": (
        site(files=[{"path": "nginx.conf", "content": "events {}\n"}]),
        f"{CONFIG}/nginx.conf is there already, .* it is foreign",
    ),
    "a limit that is no duration": (
        site(worker_limits={"worker_shutdown_timeout": "soon"}),
        "worker_limits: 'soon' is neither a number nor a duration",
    ),
    "a probe that is no URL": (site(probes=[{"url": "trial.test"}]), "probes: 'trial.test' is no URL"),
    "no name": (site(name=""), "name: '' is no name for a site"),
}


# One after another in one run: the rest of a run takes longer than the module.
PLAYBOOK = [
    {
        "hosts": "app",
        "become": True,
        "gather_facts": False,
        "tasks": [
            {
                "workbot.stability.nginx_site": "{{ item.value }}",
                "loop": "{{ inputs | dict2items }}",
                "loop_control": {"label": "{{ item.key }}"},
                "ignore_errors": True,
                "register": "found",
            },
            {
                "ansible.builtin.copy": {"content": "{{ found.results | to_json }}", "dest": "{{ answers }}"},
                "delegate_to": "localhost",
                "become": False,
                "check_mode": False,
            },
        ],
    }
]


@pytest.mark.parametrize(("flags", "step"), [((), 1), (("--check",), 7)])
def test_each_is_refused_with_a_clear_error(tmp_path: Path, flags: tuple[str, ...], step: int) -> None:
    """In check mode every so many."""
    chosen = dict(list(BROKEN.items())[::step])
    (tmp_path / "site.yml").write_text(json.dumps(PLAYBOOK))
    variables = {"inputs": {what: options for what, (options, _error) in chosen.items()}, "answers": f"{tmp_path}/a"}
    output, _none = playbook(str(tmp_path / "site.yml"), variables, "--diff", *flags).communicate(timeout=180)
    answers = json.loads((tmp_path / "a").read_text())
    assert len(answers) == len(chosen), output
    for answer, (what, (_options, error)) in zip(answers, chosen.items(), strict=True):
        assert answer["failed"], (what, answer)
        assert re.search(error, answer["msg"]), (what, answer["msg"])


def test_a_key_is_never_shown() -> None:
    result = applied("--check", **with_certificate(GOOD.pem + AUTHORITY.pem, GOOD.key_pem()))
    assert "(secret changed)" in result["shown"]
    assert GOOD.key_pem().splitlines()[1] not in result["shown"]


@pytest.fixture
def broken_by_others(host: Host) -> Iterator[str]:
    """A file of somebody else that nginx does not understand, in use from the next reload on."""
    path = f"{CONFIG}/conf.d/others.conf"
    host.check_output("printf 'server {\\n  oops;\\n}\\n' > %s", path)
    yield path
    host.check_output("rm %s", path)


def test_what_was_broken_before_is_not_made_ours(broken_by_others: str) -> None:
    message = refused(**site("# new"))
    assert "was broken before this run, by someone else; nothing was changed" in message
    assert f'unknown directive "oops" in {broken_by_others}:2' in message
    assert ">    2 |   oops;" in message


def test_a_record_that_is_broken_is_named(host: Host) -> None:
    path = f"{STATE}/molecule-broken.json"
    host.check_output("echo '{' > %s", path)
    try:
        assert f"{path} is no record of a site's files" in refused(**site("# new"))
    finally:
        host.check_output("rm %s", path)


def test_a_disk_that_is_full_in_staging_stops_the_change() -> None:
    with mounted("/run/nginx_site", "size=64k,mode=0700"):
        message = refused(**site("# new"))
    assert "Cannot make a copy of /etc/nginx to test in, below /run/nginx_site: No space left on device" in message
    assert "Nothing was changed." in message


def test_without_nginx_nothing_is_changed(host: Host) -> None:
    """Its program is gone; the one that runs goes on."""
    host.check_output("mv /usr/sbin/nginx /usr/sbin/nginx.away")
    try:
        message = refused(**site("# new"))
    finally:
        host.check_output("mv /usr/sbin/nginx.away /usr/sbin/nginx")
    assert message == "nginx is not installed: there is no /usr/sbin/nginx. Nothing was changed."
