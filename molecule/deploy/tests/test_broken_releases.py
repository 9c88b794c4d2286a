# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A broken release never gets a request: the old one serves on, the message names the cause, nothing is left over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deployments import AT_ONCE, FROM_ENVIRONMENT, FROM_RELEASE, Service, assert_unnoticed, load, release, wait

LOAD = ("--host=shop.test", "--connections=32", "--websockets=50")
SERVES = "Release {active} is active as before and answers healthily"
BUILD = {"release_build": True, "release_build_script": "build"}
# Making a release prunes older ones, of which other tests may have left as many as are kept.
KEPT = {"release_keep": 20}
LOCK_FILE = {
    "name": "shop",
    "version": "bad",
    "lockfileVersion": 3,
    "requires": True,
    "packages": {"": {"name": "shop"}},
}


@dataclass(frozen=True)
class Bad:
    """What is wrong with a release, and what the message must say of it."""

    says: list[str]
    fault: str = ""
    worker: int | None = None
    package: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    never: str = ""
    """What would send its reader the wrong way."""


BROKEN = {
    "throws at start": Bad(
        ["ended 3 times with an uncaught error: Error: the price list can not be read"],
        "throws",
        never="pm2_listen_port",
    ),
    # PM2 lets a worker live on after these, and would be waited for until the time is over
    "rejects a promise at start": Bad(
        ["does not listen after an uncaught error: Error: STRIPE_KEY is not set"],
        "rejects",
        variables={"pm2_start_timeout": 300},
        never="pm2_listen_port",
    ),
    "takes PORT for a number": Bad(
        ["Received type number (NaN). PORT is the path of a socket", "Set pm2_listen_port: 3000"],
        "takes PORT for a number",
        variables={"pm2_start_timeout": 300},
    ),
    "listens on a port of its own": Bad(
        ["listens on TCP port 3999 and not where PORT says. Set pm2_listen_port: 3999"],
        "listens on a port of its own",
        variables={"pm2_start_timeout": 4},
    ),
    "never listens": Bad(
        ["Nothing listens", "One without HTTP", r"\x1b]0;title\x07still waiting for the price list\x1b[2J"],
        "never listens",
        variables={"pm2_start_timeout": 4},
    ),
    "unhealthy": Bad(["500"], "unhealthy", variables={"pm2_start_timeout": 4}),
    "dies after its first health": Bad(["the price list can not be read"], "dies after health"),
    "one worker of four never listens": Bad(
        ["still waiting for the price list"],
        "never listens",
        worker=2,
        variables={"service_instances": 4, "pm2_start_timeout": 8},
    ),
    "one worker of four is unhealthy": Bad(
        ["500"], "unhealthy", worker=3, variables={"service_instances": 4, "pm2_start_timeout": 8}
    ),
    "too slow": Bad(["4 s"], "slow", variables={"pm2_start_timeout": 4}),
    "its build fails": Bad(
        ["build", r"\x1b[2J\x9bno such theme: dark"],
        package={"scripts": {"build": "printf '\\033[2J\\302\\233no such theme: dark\\n' >&2; exit 3"}},
        variables=BUILD,
    ),
    "its migration fails": Bad(
        ["migrate", "column price does not exist", "as it was before", "postgresql-backup restore --time '20"],
        variables={"pm2_migrate": ["/bin/sh", "-c", "printf '\\033[2Jcolumn price does not exist\\n' >&2; exit 1"]},
    ),
    "a hook fails": Bad(
        ["before_switch", "the cache is cold"],
        variables={"pm2_hooks": {"before_switch": [["/bin/sh", "-c", "echo 'the cache is cold' >&2; exit 1"]]}},
    ),
    "other engines": Bad([">=99", "engines"], package={"engines": {"node": ">=99"}}),
}


# Too slow is what never listens looks like until the time is over.
REPEATED = "too slow"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.soak if name == REPEATED else ()) for name in BROKEN]
)
@pytest.mark.usefixtures("good")
def test_a_broken_release_changes_nothing(shop: Service, address: str, name: str, tmp_path: Path) -> None:
    bad = BROKEN[name]
    before = shop.settled()
    source = release(tmp_path, "bad", bad.fault, bad.worker, **bad.package)
    Path(source, "package-lock.json").write_text(json.dumps(LOCK_FILE), encoding="utf-8")
    with load(address, *LOAD) as tally:
        run = wait(shop.start("deploy", FROM_RELEASE, release_directory=source, **KEPT, **bad.variables))
    assert run.code == 2, run.output
    assert [text for text in bad.says if text not in run.output] == [], run.output
    assert not bad.never or bad.never not in run.output
    last = run.output.rpartition("Failed on workbot-test: ")[2]
    assert f"What serves now: as before: release {before['current']} on workbot-test" in last
    assert "To go on, once the cause is repaired: ansible-playbook --inventory=molecule/inventory" in last
    # a terminal obeys nothing of what a build, a migration or the program has printed
    assert [letter for letter in run.output if not letter.isprintable()] == []
    assert_unnoticed(tally)
    assert tally["releases"].keys() == {"good"}
    assert shop.settled() == before


@pytest.mark.usefixtures("good")
def test_the_message_has_the_new_ones_words_alone_and_no_secret(shop: Service, tmp_path: Path) -> None:
    """The old one goes on logging into the same file."""
    good = str(shop.settled()["current"])
    shop.bring(release(tmp_path, "chatty", "chatters"))
    before = shop.settled()
    secret = "a-secret-of-the-shop-0123456789abcdef"
    source = release(tmp_path, "leaky", "throws")
    program = Path(source, "server.js")
    # Both workers say so before either dies: with whole stacks that would not be among the last twenty lines.
    leak = (
        "Error.stackTraceLimit = 2; console.error(`${process.env.NODE_ENV} connects with ${process.env.SHOP_KEY}`);\n"
    )
    program.write_text(leak + program.read_text(encoding="utf-8"), encoding="utf-8")
    run = wait(shop.start("deploy", FROM_ENVIRONMENT, release_directory=source, service_secrets={"SHOP_KEY": secret}))
    assert run.code == 2
    assert SERVES.format(active=before["current"]) in run.output
    assert "production connects with" in run.output
    last = json.loads(shop.host.file("/srv/shop/.deploy.history").content_string)[-1]
    assert (last["result"], last["release"] == before["current"]) == ("failed", False)
    assert secret not in run.output
    assert "a line of chatty" in shop.host.check_output("tail -n 5 /var/log/shop/error.log")
    assert "a line of chatty" not in run.output
    shop.activate(good)


@pytest.mark.usefixtures("good")
def test_an_active_release_that_can_not_start_any_more_keeps_no_other_one_away(shop: Service, tmp_path: Path) -> None:
    """Somebody has made room on a full disk by hand; its processes went on until the next boot."""
    good = str(shop.settled()["current"])
    [gone] = shop.bring(release(tmp_path, "gone"))
    shop.host.check_output(f"rm -r /srv/shop/releases/{gone}")
    shop.host.check_output("systemctl restart shop.service")
    assert shop.host.run("systemctl is-active --quiet shop@*.service").rc != 0
    shop.deploy(FROM_ENVIRONMENT, release_directory=release(tmp_path, "next"), **AT_ONCE)
    assert shop.settled()["current"] not in (good, gone)
    shop.activate(good)
