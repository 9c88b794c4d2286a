# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.workbot.stability.plugins.plugin_utils._compare.questions import shown


def test_what_differs_is_named_also_where_it_is_no_file() -> None:
    file = {"before_header": "/etc/x", "after_header": "/etc/x", "before": "a\n", "after": "b\n"}
    unit = {
        "before_header": "x.timer",
        "after_header": "x.timer",
        "before": "x.timer stopped\n",
        "after": "x.timer started\n",
    }
    others = {"before": "/etc/y\n", "after": "read by systemd: x.service\n"}
    result = {"changed_paths": ["/etc/x", "/etc/y"], "diff": [file, unit, others]}
    assert shown(result) == "/etc/x; /etc/y; x.timer stopped"
    unread = {"before": "", "after": "read by systemd: x.service\n"}
    assert shown({"changed_paths": [], "diff": [unread], "msg": "done"}) == "read by systemd: x.service"
    assert shown({"diff": {"before": "", "after": "nginx\nacl\n"}}) == "nginx; acl"
    assert shown({"diff": {"before": "node 1\nnpm 2\n", "after": "node 3\nnpm 2\n"}}) == "node 1"
    assert shown({"problems": ["no role"], "diff": [unit], "msg": "done"}) == "no role"
    assert shown({"msg": "done"}) == "done"
