# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module `release` and its role on a real host, in a place of their own: no service runs what is made here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployments import wait
from hosts import HOST, SSH_CONFIG, playbook, vanished
from releases import PLACE, SECRET, application, place_of, refused, release, result, start
from testinfra.host import Host
from waiting import until

LOCK = f"{PLACE}/.build.lock"
SLEEP = 4242  # seconds: tells the build of these tests from any other process


@pytest.fixture(scope="module", autouse=True)
def place(host: Host) -> Iterator[None]:
    with place_of(host):
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_over(host: Host) -> Iterator[None]:
    """After each test there are whole releases in the place and nothing else, no process and no lock."""
    yield
    left = running(host)
    for process in left:
        host.run(f"kill {process}")
    assert left == []
    names = host.check_output(f"ls -A {PLACE}/releases").split()
    assert [name for name in names if not host.file(f"{PLACE}/releases/{name}/.release.json").exists] == []
    if host.file(LOCK).exists:
        assert host.file(LOCK).content_string.strip() == ""
        assert host.file(LOCK).mode == 0o600
    host.check_output(f"rm -rf {PLACE}/releases/*")


def mark(host: Host, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file(f"{PLACE}/releases/{name}/.release.json").content_string)
    return found


def running(host: Host) -> list[str]:
    """Processes of a build that these tests began."""
    found: list[str] = host.run(f"pgrep -f '^sleep {SLEEP}'").stdout.split()
    return found


def test_a_release_is_made_once(host: Host, tmp_path: Path) -> None:
    source = application(tmp_path, scripts={"build": "node --print process.env.JWT_SECRET >built"})
    options = {
        "directory": str(source),
        "before_build": [["sh", "-c", "printf %s $JWT_SECRET | wc -c >before"]],
        "after_build": [["sh", "-c", "cat before built >after"]],
    }
    predicted = release("--check", **options)
    assert (predicted["changed"], predicted["made"]) == (True, True)
    assert host.check_output(f"ls -A {PLACE}/releases") == ""
    made = release(**options)
    assert (made["changed"], made["release_id"]) == (True, predicted["release_id"])
    # The hooks found the service's environment, the build did not.
    after = f"{made['release_path']}/after"
    assert host.file(after).content_string.split() == [str(len(SECRET)), "undefined"]
    assert host.file(after).user == "root"
    found = mark(host, made["release_id"])
    abi = host.check_output("/opt/workbot/bin/node --print process.versions.modules")
    assert (found["node_abi"], made["node_abi"], found["package_manager"]) == (abi, abi, "npm")
    again = release(**options)
    assert (again["changed"], again["made"], again["release_id"]) == (False, False, made["release_id"])
    other = release(**options | {"after_build": []})
    assert other["release_id"] != made["release_id"]


def test_a_failed_build_shows_its_last_lines(tmp_path: Path) -> None:
    source = application(tmp_path, scripts={"build": "seq 100; echo the compiler is unhappy >&2; exit 3"})
    message = refused(directory=str(source))
    assert "npm run build failed with exit status 3. Its last lines:" in message
    assert "the compiler is unhappy" in message
    assert "\n99\n" in message
    assert "\n40\n" not in message


def test_a_failed_hook_shows_no_secret(tmp_path: Path) -> None:
    source = application(tmp_path)
    message = refused(directory=str(source), before_build=[["sh", "-c", "echo the secret is $JWT_SECRET; exit 1"]])
    assert "before_build: sh -c " in message
    assert "the secret is ********" in message


@pytest.mark.parametrize("build", [True, False])
def test_a_release_for_another_node_is_refused(build: bool, host: Host, tmp_path: Path) -> None:
    source = application(tmp_path, engines={"node": "^12 || >=999"})
    version = host.check_output("/opt/workbot/bin/node --print process.versions.node")
    message = refused(directory=str(source), build=build, before_build=[["touch", "/tmp/must-not-run"]])
    assert "The release needs Node.js ^12 || >=999 (engines.node of package.json)" in message
    assert f"/opt/workbot/bin/node is {version}" in message
    assert not host.file("/tmp/must-not-run").exists


def test_a_full_disk_is_named(host: Host, tmp_path: Path) -> None:
    """In a file system of its own, the host's /dev/shm."""
    source = application(tmp_path)
    (source / "large").write_bytes(os.urandom(4 << 20))
    small = "/dev/shm/release-test"
    host.check_output(f"install -d -g workbot -m 0750 {small} {small}/releases")
    try:
        free = int(host.check_output("df --output=avail --block-size=1 /dev/shm").split()[-1])
        host.check_output(f"fallocate --length {free - (2 << 20)} {small}/filler")
        message = refused(directory=str(source), path=f"{small}/releases")
        assert re.search(f"The disk that holds {small}/releases/.* free, and what .* needs 5 MB there", message)
        in_build = refused(
            directory=str(application(tmp_path / "other")),
            path=f"{small}/releases",
            before_build=[["dd", "if=/dev/zero", "of=large", "bs=1M", "count=4", "status=none"]],
        )
        assert re.search(f"The disk that holds {small}/releases/.* is full: the unfinished release took", in_build)
        assert "before_build: dd" in in_build
        assert host.check_output(f"ls -A {small}/releases") == ""
    finally:
        host.check_output(f"rm -rf {small}")


def test_two_deployments_at_once(host: Host, tmp_path: Path) -> None:
    source = str(application(tmp_path))
    job = {"CI_JOB_URL": "https://ci.example/jobs/7", "GITLAB_USER_LOGIN": "alice"}
    first = start(directory=source, before_build=[["sleep", str(SLEEP)]], environment=job)
    try:
        until("a build runs", lambda: running(host))
        begun = time.monotonic()
        message = refused(directory=source)
        assert time.monotonic() - begun < 120
        assert "Another deployment is at work: release " in message
        assert "(alice, https://ci.example/jobs/7) at " in message
    finally:
        host.check_output(f"pkill -f '^sleep {SLEEP}'")
        failed, _output = result(first)
    assert "before_build: sleep" in failed["msg"]


def test_a_run_whose_controller_is_gone_ends_its_work(host: Host, tmp_path: Path) -> None:
    source = str(application(tmp_path))
    first = start(directory=source, before_build=[["sh", "-c", f"setsid --fork sleep {SLEEP}; sleep 600"]])
    until("a build runs", lambda: running(host))
    vanished(first)
    until("the run is over", lambda: host.file(LOCK).content_string.strip() == "", 20)
    assert running(host) == []
    assert host.check_output(f"ls -A {PLACE}/releases") == ""


@pytest.mark.parametrize("number", ["TERM", "HUP"])
def test_a_run_that_is_told_to_end_takes_its_build_along(number: str, host: Host, tmp_path: Path) -> None:
    first = start(directory=str(application(tmp_path)), before_build=[["sleep", str(SLEEP)]])
    until("a build runs", lambda: running(host))
    module = host.file(LOCK).content_string.split()[-1]
    host.check_output(f"kill -{number} {module}")
    first.communicate(timeout=60)
    assert first.returncode != 0
    assert host.check_output(f"ls -A {PLACE}/releases") == ""


def test_what_a_killed_run_leaves_is_ended_and_swept(host: Host, tmp_path: Path) -> None:
    source = str(application(tmp_path))
    job = {"CI_JOB_URL": "https://ci.example/jobs/7", "GITLAB_USER_LOGIN": "alice"}
    hook = ["sh", "-c", f"setsid --fork sleep {SLEEP}; sleep 600"]
    first = start(directory=source, before_build=[hook], environment=job)
    build = until("a build runs", lambda: running(host))
    module = host.file(LOCK).content_string.split()[-1]
    host.check_output(f"kill -KILL {module}")
    first.communicate(timeout=60)
    # What has left its group is not ended by the end of the run.
    assert running(host) == build
    made = release(directory=source)
    assert running(host) == []
    assert made["made"]
    assert len(made["swept"]) == 1
    (ended,) = made["ended"]
    assert ended.startswith("build of release ")
    assert ended.endswith("(alice, https://ci.example/jobs/7)")


@pytest.fixture(scope="module")
def server(host: Host) -> Iterator[str]:
    """A git server: a user of the host who lets the key in that `deploy_key` makes, for reading one repository."""
    host.check_output("apt-get install -y --no-install-recommends git")
    host.check_output("useradd --create-home --shell /bin/bash release-test-git")
    yield f"release-test-git@{HOST}:app.git"
    host.check_output("userdel --remove release-test-git")


@pytest.fixture(scope="module")
def deploy_key(host: Host, server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    user = server.partition("@")[0]
    key = tmp_path_factory.mktemp("keys") / "deploy"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    line = f'restrict,command="git-upload-pack app.git" {key.with_suffix(".pub").read_text(encoding="utf-8")}'
    home = f"/home/{user}"
    host.check_output(f"install -d -o {user} -m 0700 {home}/.ssh")
    host.check_output(f"echo '{line}' | install -o {user} -m 0600 /dev/stdin {home}/.ssh/authorized_keys")
    return key


@pytest.fixture
def origin(host: Host, server: str, tmp_path: Path) -> Path:
    """A repository whose commits `push` brings to the server."""
    source = application(tmp_path / "origin")
    commit(source)
    push(host, source, server)
    return source


def git(directory: Path, *arguments: str) -> str:
    author = [setting for name in ("name", "email") for setting in ("-c", f"user.{name}=test")]
    command = ["git", *author, "-c", "commit.gpgsign=false", *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def commit(source: Path) -> str:
    """Commit all that is in the source, which is a repository from then on."""
    git(source, "init", "--quiet", "--initial-branch=main")
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "next")
    return git(source, "rev-parse", "HEAD")


def push(host: Host, source: Path, server: str) -> None:
    user = server.partition("@")[0]
    bundle = source.parent / "bundle"
    git(source, "bundle", "create", "--quiet", str(bundle), "--all", "HEAD")
    copy = ["scp", "-q", "-F", SSH_CONFIG, str(bundle), f"{HOST}:/tmp/release-test.bundle"]
    subprocess.run(copy, check=True, capture_output=True)
    host.check_output(
        f"rm -rf /home/{user}/app.git && git clone -q --bare /tmp/release-test.bundle /home/{user}/app.git"
    )
    host.check_output(f"chown -R {user} /home/{user}/app.git && rm /tmp/release-test.bundle")


def ssh(*options: str) -> dict[str, str]:
    return {"GIT_SSH_COMMAND": " ".join(["ssh", *options, "-F", SSH_CONFIG])}


def test_git_over_ssh_with_a_deploy_key(host: Host, server: str, deploy_key: Path, origin: Path) -> None:
    options: dict[str, Any] = {"git_url": server, "git_key": str(deploy_key), "environment": ssh()}
    first = git(origin, "rev-parse", "HEAD")
    predicted = release("--check", git_ref="main", **options)
    assert (predicted["changed"], predicted["commit"]) == (True, first)
    made = release(git_ref="main", **options)
    assert (made["made"], made["commit"], made["release_id"]) == (True, first, predicted["release_id"])
    assert mark(host, made["release_id"])["commit"] == first
    assert not host.file(f"{made['release_path']}/.git").exists
    assert not release(git_ref="main", **options)["changed"]
    (origin / "second").write_text("2", encoding="utf-8")
    second = commit(origin)
    push(host, origin, server)
    newer = release(git_ref="main", **options)
    assert (newer["made"], newer["commit"]) == (True, second)
    assert host.file(f"{newer['release_path']}/second").exists
    # By its commit, which is no branch's last: it is there already, or made again.
    assert not release(git_ref=first, **options)["changed"]
    assert release(git_ref=first, version="first", **options)["commit"] == first
    assert not host.file(f"{PLACE}/releases/first/second").exists


@pytest.mark.usefixtures("origin")
def test_a_key_in_a_vault(server: str, deploy_key: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("vault password", encoding="utf-8")
    key = tmp_path / "key"
    shutil.copy(deploy_key, key)
    vault = f"--vault-password-file={tmp_path / 'password'}"
    subprocess.run(["ansible-vault", "encrypt", vault, key], check=True, capture_output=True)
    assert release(vault, git_url=server, git_ref="main", git_key=str(key), environment=ssh())["made"]


@pytest.mark.usefixtures("origin")
def test_what_is_wrong_with_a_repository_is_said(server: str, deploy_key: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"git_url": server, "git_key": str(deploy_key), "environment": ssh()}
    assert "no branch or tag 'mian'. Did you mean main?" in refused(git_ref="mian", **options)
    unknown = ssh("-o", "StrictHostKeyChecking=ask", "-o", "UserKnownHostsFile=/dev/null")
    assert "the server's host key is not known" in refused(**options | {"environment": unknown})
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    assert "the server accepts none of the keys" in refused(**options | {"git_key": str(other)})
    assert "is no file on the controller" in refused(**options | {"git_key": "/nowhere/key"})
    assert "has no commit abab" in refused(git_ref="ab" * 20, **options)


PLAY = """
- hosts: app
  become: true
  gather_subset: ["!all", min, hardware]
  pre_tasks:
    - workbot.stability.validate_variables:
  roles:
    - workbot.stability.service
    - workbot.stability.release
  tasks:
    - ansible.builtin.debug:
        msg: "id={{ release_id }} made={{ release_made }}."
"""


def test_the_role_says_what_it_made(host: Host, tmp_path: Path) -> None:
    """For the service workbot, whose active release must stay what it is."""
    source = application(tmp_path)
    commit(source)
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    variables = {"release_directory": "", "release_git_url": f"file://{source}", "release_version": "role-test"}
    before = host.check_output("ls -A /srv/workbot/releases")
    try:
        for made in (True, False):
            run = wait(playbook(str(tmp_path / "play.yml"), variables))
            assert f"id=role-test made={made}." in run.output, run.output
    finally:
        host.check_output("rm -rf /srv/workbot/releases/role-test")
    assert host.check_output("ls -A /srv/workbot/releases") == before
