# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of each deployment. systemd and PM2 are stand-ins; files, sockets, processes are real."""

from __future__ import annotations

import time

import pytest
from activation_host import GOOD, deploy, desiring, release
from ansible_collections.workbot.stability.plugins.module_utils._deploy.context import Context
from ansible_collections.workbot.stability.plugins.module_utils._deploy.model import ActivationError
from ansible_collections.workbot.stability.plugins.module_utils._service import deployments


def test_each_deployment_is_kept_with_its_result(served: Context) -> None:
    release(served, "new", GOOD)
    release(served, "bad", "500 500")
    began = time.time()
    deploy(served, "new")
    with pytest.raises(ActivationError):
        deploy(served, "bad")
    failing = desiring(served, hooks={"after_stop": [["/bin/false"]]})
    with pytest.raises(ActivationError, match="Release old is active and serves, but"):
        deploy(failing, "previous")
    # neither changes what runs
    deploy(served, "")
    deploy(served, "bad", check_mode=True)
    kept = deployments.read(served.places.directory)
    assert [(one.release, one.activation, one.result) for one in kept] == [
        ("old", "old", "succeeded"),
        ("new", "new", "succeeded"),
        ("bad", "bad", "failed"),
        ("old", "old", "failed"),
    ]
    assert began < kept[1].time < kept[2].time < kept[3].time < time.time()
    assert 0 < kept[1].seconds < time.time() - began
