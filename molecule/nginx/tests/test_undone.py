# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong once files are being replaced: it is undone at once, or by the next run after a kill."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from certificates import issue
from nginx_sites import CONFIG, JOURNAL, STATE, answer, applied, mounted, nginx_site, refused, result_of, site, start
from testinfra.host import Host

pytestmark = pytest.mark.usefixtures("answered", "restored")

BACK = "The previous files are back, and nginx runs with them."
CHANGED = {"files": [{"path": "molecule/two", "content": "two"}]}
FAULT = "/run/molecule-fault"
# Python imports this before it runs a module. At the first event that is named in the file `at`, the run is dead.
SITECUSTOMIZE = textwrap.dedent(
    f"""
    import os, pathlib, signal, sys
    EVENT, DETAIL = pathlib.Path("{FAULT}/at").read_text().split(maxsplit=1)
    def look(event, arguments):
        if event == EVENT and DETAIL in str(arguments):
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(look)
    """
)
INTERPRETER = f'#!/bin/sh\nPYTHONPATH={FAULT} exec /usr/bin/python3 "$@"\n'
# Events at which a run dies.
STEPS = {
    "files are being written": f"open {CONFIG}/molecule/.two.nginx_site",
    "one file is replaced and another not": f"os.rename {CONFIG}/molecule/.two.nginx_site",
    "all are replaced and nginx does not know": "subprocess.Popen 'reload', 'nginx.service'",
    "nginx serves them and nothing says that it is over": f"os.remove '{JOURNAL}'",
}


def new(*lines: str, **options: Any) -> dict[str, Any]:
    """The site with something that only its new configuration answers."""
    return site("location = /new { return 200 'new'; }", *lines, **{**CHANGED, **options})


@pytest.fixture
def killed(host: Host) -> Iterator[Callable[[str], None]]:
    """Runs a change that is killed at an event."""
    for name, text in {"sitecustomize.py": SITECUSTOMIZE, "python": INTERPRETER}.items():
        host.check_output(f"mkdir -p {FAULT} && printf '%%s' %s > {FAULT}/{name} && chmod 755 {FAULT}/{name}", text)

    def run(event: str) -> None:
        host.check_output(f"printf '%%s' %s > {FAULT}/at", event)
        running = start(new(), f"--extra-vars=ansible_python_interpreter={FAULT}/python")
        output, _none = running.communicate(timeout=60)
        assert running.returncode, output
        assert "changed_files" not in output

    yield run
    host.check_output(f"rm -r {FAULT}")


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_is_undone_by_the_next(host: Host, address: str, killed: Callable[[str], None], step: str) -> None:
    killed(STEPS[step])
    assert host.file(JOURNAL).exists
    result = applied(**site())
    assert (result["recovered"], result["reloaded"], result["changed_files"]) == (True, True, [])
    assert not host.file(JOURNAL).exists
    assert "new" not in answer(address, "/new")


def test_a_killed_run_leaves_no_copy_behind_for_long(host: Host, killed: Callable[[str], None]) -> None:
    """The copy holds keys. Who is killed while nginx tests it cannot remove it."""
    killed("subprocess.Popen '-T', '-c'")
    assert not host.file(JOURNAL).exists
    assert host.file("/run/nginx_site").mode == 0o700
    refused(**site("oops;"))
    assert not host.file("/run/nginx_site").exists


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ({"path": "/no-such-page"}, "http://trial.test/no-such-page at 127.0.0.1:80: the answer has status 404"),
        ({"path": "/new", "expect_status": [204, 301]}, "has status 200, not 204 or 301"),
        ({"path": "/new", "websocket": True}, "the answer to the WebSocket handshake has status 200, not 101"),
        ({"port": 9}, "Connection refused"),
        ({"tls": True, "port": 80}, "https://trial.test/ at 127.0.0.1:80"),
    ],
)
def test_a_probe_that_fails_undoes_the_change(address: str, probe: dict[str, Any], reason: str) -> None:
    message = refused(**new(probes=[{"host": "trial.test", "path": "/", "timeout": 0.5, **probe}]))
    assert "nginx took the new configuration, but does not serve as it should:" in message
    assert reason in message
    assert message.endswith(BACK)
    assert answer(address, "/new") != "new"


def test_another_chain_than_that_of_the_file_undoes_the_change() -> None:
    served, other = (issue("trial.test", names=["trial.test"]) for _number in range(2))
    options = new(
        "listen 8443 ssl;",
        "ssl_certificate molecule/chain.pem;",
        "ssl_certificate_key molecule/key.pem;",
        files=[
            {"path": "molecule/chain.pem", "content": served.pem},
            {"path": "molecule/other.pem", "content": other.pem},
        ],
        secret_files={"molecule/key.pem": served.key_pem()},
        probes=[{"url": "https://trial.test:8443/", "address": "127.0.0.1", "certificate_chain": "molecule/other.pem"}],
    )
    assert "the certificates that are served are not those of molecule/other.pem" in refused(**options)


def test_what_was_ill_before_is_not_held_against_a_change(address: str) -> None:
    """The service behind may be down, which is no reason to refuse its proxy's configuration."""
    probes = [
        {"url": f"http://trial.test{path}", "address": "127.0.0.1", "if_healthy": True, "timeout": 0.5}
        for path in ("/new", "/down")
    ]
    assert applied(**new("location = /down { return 502; }", probes=probes))["reloaded"]
    assert answer(address, "/new") == "new"
    worse = site("location = /new { return 503; }", "location = /down { return 502; }", probes=probes)
    message = refused(**worse)
    assert "http://trial.test/new at 127.0.0.1:80: the answer has status 503" in message
    assert "/down" not in message
    applied(**site())


def test_a_port_of_another_program_is_found_at_the_reload_and_undone(host: Host) -> None:
    """`nginx -t` accepts it; the master finds out when it binds."""
    host.check_output("systemd-run --unit=molecule-port --service-type=exec python3 -m http.server 8099")
    try:
        deadline = time.monotonic() + 10
        while not host.socket("tcp://0.0.0.0:8099").is_listening:
            assert time.monotonic() < deadline
        message = refused(**new("listen 8099;"))
    finally:
        host.check_output("systemctl stop molecule-port")
    assert "bind() to 0.0.0.0:8099 failed" in message
    assert message.endswith(BACK)


@pytest.mark.parametrize(
    ("options", "reason"),
    [("size=16k", "No space left on device"), ("ro", "Read-only file system")],
)
def test_a_place_that_takes_no_file_undoes_the_change(options: str, reason: str) -> None:
    files = [{"path": "molecule/a", "content": "a"}, {"path": "molecule.d/b", "content": "b" * 65536}]
    with mounted(f"{CONFIG}/molecule.d", options):
        message = refused(**new(files=files))
    assert f"Cannot write {CONFIG}/molecule.d/b: {reason}." in message
    assert message.endswith(BACK)


def test_a_full_place_for_the_journal_stops_the_change(host: Host) -> None:
    """The records lie there too: they are on the small file system as well, so that only space is missing."""
    kept = "/var/lib/molecule-kept"
    host.check_output(f"cp -a {STATE} {kept}")
    try:
        with mounted(STATE, "size=64k,mode=0700"):
            host.check_output(f"cp -a {kept}/. {STATE} && dd if=/dev/zero of={STATE}/full || test -s {STATE}/full")
            message = refused(**new())
    finally:
        host.check_output(f"rm -r {kept}")
    assert message == (f"Nothing was changed: what is there now cannot be noted in {JOURNAL}: No space left on device.")


def test_runs_at_the_same_time_wait_for_one_another(host: Host) -> None:
    names = [f"trial{number}" for number in range(2)]
    options = [{"name": name, "files": [{"path": f"conf.d/{name}.conf", "content": "# a file\n"}]} for name in names]
    began = time.monotonic()
    holder = "systemd-run --unit=molecule-lock --service-type=exec flock --exclusive /run/nginx_site.lock sleep 4"
    host.check_output(holder)
    results = [result_of(one) for one in [start(wanted) for wanted in options]]
    assert time.monotonic() - began > 3
    assert [result["changed"] for result in results] == [True] * 2, results
    for name in names:
        assert host.file(f"{CONFIG}/conf.d/{name}.conf").exists
        applied(name=name, state="absent")


def test_a_shared_file_with_other_content_is_refused_by_name() -> None:
    shared = {"path": "conf.d/molecule-shared.conf", "content": "# one\n"}
    applied(name="other", shared_files=[shared])
    try:
        message = refused(**site(shared_files=[{**shared, "content": "# two\n"}]))
        assert "conf.d/molecule-shared.conf is shared with other, which wants other content" in message
    finally:
        applied(name="other", state="absent")


def test_a_file_that_was_edited_by_hand_is_shown_and_put_right(host: Host) -> None:
    path = f"{CONFIG}/conf.d/molecule-trial.conf"
    host.check_output("echo '# by hand' >> %s", path)
    for flags in (("--check",), ()):
        result = nginx_site(*flags, **site())
        assert result["edited_files"] == result["changed_files"] == [path]
        assert "-# by hand" in result["shown"]
    assert not applied(**site())["changed"]
