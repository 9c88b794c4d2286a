# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of real processes and files; what comes out of it never has a value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.workbot.stability.plugins.module_utils._checks.findings import CRITICAL, OK, WARNING, Finding
from ansible_collections.workbot.stability.plugins.module_utils._checks.secret_check import (
    FileTraits,
    Holder,
    SecretReader,
    SecretRules,
    env_files,
    judge_privacy,
    judge_secrets,
    pm2_variables,
    readings_of,
)
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import strength
from hypothesis import given
from hypothesis import strategies as st

GOOD = "k3J9xQ2mV7pL0sT5wZ8yB1nD4fG6hR0a"
OTHER = "Zq8wX1vN4bM7cL0kJ3hG6fD9sA2pO5iU"
RULES = SecretRules(["TOKEN"], 32, 64)
Start = Callable[..., int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that waits, with further arguments for others to see, and an environment."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str, **environment: str) -> int:
        command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", *arguments]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        started.append(process)
        return process.pid

    yield begin
    for process in started:
        process.communicate()


def write(path: Path, age: float = 0, **variables: str) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    path.chmod(0o600)
    os.utime(path, (time.time() - age,) * 2)
    return path


def reader() -> SecretReader:
    return SecretReader(RULES.names, RULES.min_length)


def held(one: SecretReader, label: str, pid: int) -> Holder:
    (holder,) = one.processes([(label, pid)])
    return holder


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def test_the_file_that_a_process_was_given_is_what_counts(tmp_path: Path, start: Start) -> None:
    path = write(tmp_path / "env", age=60, TOKEN=GOOD)
    holder = held(reader(), "worker 0", start(f"--env-file={path}", OTHER="x"))
    findings = judge_secrets(RULES, [holder])
    assert statuses(findings) == {"secrets.file": OK, "secrets.TOKEN": OK}
    assert "32 characters, in 1 running processes" in findings[1].message


def test_a_process_whose_program_is_still_being_loaded() -> None:
    """For a moment the kernel shows neither its arguments nor its environment: seen in 1 of 60 starts."""
    for _start in range(300):
        with subprocess.Popen(["sleep", "60"], env={"TOKEN": GOOD, "PATH": os.defpath}) as process:
            holder = held(reader(), "worker 0", process.pid)
            process.kill()
        assert "TOKEN" in holder.secrets


def test_an_environment_without_end_is_not_read_to_its_end(start: Start) -> None:
    """What a program can be started with is large enough to see it; what it can make of that later has no limit."""
    large = {f"LARGE_{number:02}": f"{number:02}" + "x" * 100_000 for number in range(16)}
    holder = held(reader(), "unit", start(TOKEN=GOOD, **large))
    assert holder.error == ""
    assert holder.secrets["TOKEN"].length == len(GOOD)
    assert sorted(holder.digests) == [*sorted(large)[:11], "TOKEN"]


def test_without_a_file_it_is_the_environment(start: Start) -> None:
    findings = judge_secrets(RULES, [held(reader(), "unit", start(TOKEN="changeme"))])
    assert statuses(findings) == {"secrets.TOKEN": CRITICAL}
    assert "placeholder" in findings[0].message


def test_what_is_set_already_is_not_changed_by_a_file(tmp_path: Path, start: Start) -> None:
    path = write(tmp_path / "env", age=60, TOKEN=GOOD)
    holder = held(reader(), "unit", start("--env-file", str(path), TOKEN="short"))
    assert holder.secrets["TOKEN"].length == len("short")


def test_a_file_changed_after_the_start_is_told(tmp_path: Path, start: Start) -> None:
    path = write(tmp_path / "env", age=60, TOKEN=GOOD)
    pid = start(f"--env-file={path}")
    write(path, age=-60, TOKEN=OTHER)
    findings = judge_secrets(RULES, [held(reader(), "worker 0", pid)])
    assert statuses(findings)["secrets.age"] == WARNING
    assert "may still have the old value" in findings[-1].message


def test_another_value_than_the_declared_one_is_the_old_one(tmp_path: Path, start: Start) -> None:
    used = write(tmp_path / "used", age=60, TOKEN=GOOD)
    declared = write(tmp_path / "declared", TOKEN=OTHER)
    one = reader()
    findings = judge_secrets(RULES, [held(one, "worker 0", start(f"--env-file={used}"))], one.file(declared))
    assert statuses(findings)["secrets.old"] == WARNING
    assert "the process still has the old value of TOKEN" in findings[-1].message
    write(declared, TOKEN=GOOD)
    findings = judge_secrets(RULES, [held(one, "worker 0", start(f"--env-file={used}"))], one.file(declared))
    assert "secrets.old" not in statuses(findings)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"REFRESH": GOOD}, "REFRESH"),
        ({"DATABASE_URL": f"postgresql://u:{GOOD}@db/app"}, "the password in DATABASE_URL"),
    ],
)
def test_one_value_for_two_names(variables: dict[str, str], named: str, tmp_path: Path) -> None:
    holder = reader().file(write(tmp_path / "env", TOKEN=GOOD, **variables))
    findings = judge_secrets(RULES, [holder])
    assert statuses(findings)["secrets.TOKEN.same"] == WARNING
    assert f"the same value as {named}:" in findings[-1].message


def test_one_value_for_two_services(tmp_path: Path) -> None:
    one = reader()
    own = one.file(write(tmp_path / "own", TOKEN=GOOD))
    other = one.file(write(tmp_path / "other", SECRET=GOOD))
    findings = judge_secrets(RULES, [], own, [other])
    assert f"SECRET of {tmp_path / 'other'}" in findings[-1].message
    # another run has another key: its digests say nothing
    assert "secrets.TOKEN.same" not in statuses(judge_secrets(RULES, [], own, [reader().file(tmp_path / "other")]))


def test_a_secret_that_one_worker_lacks(tmp_path: Path) -> None:
    one = reader()
    good, bad = one.file(write(tmp_path / "good", TOKEN=GOOD)), Holder("worker 1")
    findings = judge_secrets(RULES, [good, bad])
    assert statuses(findings)["secrets.TOKEN"] == CRITICAL
    assert "not set in worker 1" in findings[-1].message


def test_what_can_not_be_read_is_critical(tmp_path: Path, start: Start) -> None:
    holder = held(reader(), "w", start(f"--env-file={tmp_path / 'gone'}"))
    findings = judge_secrets(RULES, [holder], reader().file(tmp_path / "none"))
    assert [finding.status for finding in findings] == [CRITICAL] * 2
    assert statuses(judge_secrets(RULES, [])) == {"secrets": CRITICAL}


def test_a_process_that_has_ended_meanwhile_is_not_reported(start: Start) -> None:
    """Of one of them its parent has not asked yet; the other is gone."""
    pid = start(TOKEN=GOOD)
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        holders = reader().processes([("gone", 2**22 + 1), ("ended", ended.pid), ("worker 0", pid)])
    assert [holder.label for holder in holders] == ["worker 0"]
    assert statuses(judge_secrets(RULES, holders)) == {"secrets.TOKEN": OK}


@pytest.mark.parametrize(
    ("mode", "owner", "status"),
    [
        (0o600, "app", OK),
        (0o640, "app", CRITICAL),
        (0o604, "", CRITICAL),
        (0o600, "root", WARNING),
        (0o400, "app", WARNING),
    ],
)
def test_the_file_must_be_private(mode: int, owner: str, status: str) -> None:
    good, judged = FileTraits("/y", owner or "app", 0o600), FileTraits("/x", owner or "app", mode)
    assert judge_privacy([judged], "app" if owner else "").status == status
    assert judge_privacy([good, judged], "app" if owner else "").status == status


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["node", "--env-file=/a", "x.js"], {}, ["/a"]),
        (["node", "--env-file", "/a", "--env-file-if-exists=/b", "x.js"], {}, ["/a", "/b"]),
        (["node", "x.js", "--", "--env-file=/a"], {}, []),
        (["node x.js", "", ""], {"pm2_env": json.dumps({"node_args": ["--env-file=/a"]})}, ["/a"]),
        (["node x.js"], {"node_args": "--max-old-space-size=9,--env-file=/a"}, ["/a"]),
        (["node x.js"], {"pm2_env": "{"}, []),
        (["node x.js"], {"pm2_env": "[]"}, []),
        ([], {}, []),
    ],
)
def test_env_files(arguments: list[str], environment: dict[str, str], expected: list[str]) -> None:
    assert env_files(arguments, environment) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 64,
        "ab" * 32,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdef" * 4,
        "13579" * 8,
        GOOD[:5] * 9,
    ],
)
def test_what_is_easy_to_guess(value: str) -> None:
    assert strength(value) < 64


@pytest.mark.parametrize("value", [GOOD, OTHER, "5f1d0c93b2a7e84610fb3d2c9e87a654", "correct horse battery staple 42"])
def test_what_is_hard_to_guess(value: str) -> None:
    assert strength(value) > 64


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'`\"#\\"), min_size=8, max_size=64)
)
def test_nothing_that_comes_out_has_a_value(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    # letters that no message of the judges has
    value += "\u00e9\u00df"
    directory = tmp_path_factory.mktemp("env")
    one = reader()
    holder = one.file(write(directory / "env", TOKEN=value, OTHER=value))
    declared = one.file(write(directory / "declared", TOKEN=GOOD))
    told = repr(judge_secrets(RULES, [holder], declared, [holder])) + repr(readings_of([holder])) + repr(holder)
    assert value not in told


def test_a_clusters_worker_has_its_variables_in_one_of_pm2s() -> None:
    handed = {"JWT_SECRET": "x" * 40, "instances": 2, "node_args": []}
    assert pm2_variables({"pm2_env": json.dumps(handed), "HOME": "/"}) == {"JWT_SECRET": "x" * 40}
    assert pm2_variables({"HOME": "/"}) == pm2_variables({"pm2_env": "{"}) == pm2_variables({"pm2_env": "[]"}) == {}
