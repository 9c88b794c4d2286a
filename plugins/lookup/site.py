# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: site
short_description: What follows for a host from the variables of a role
version_added: 0.2.0
author: workbot.stability contributors (@workbot)
description:
  - Gives a role's vars what is computed of the host's variables, as a dictionary. For the roles of this collection
    alone.
  - Without what needs a variable that the play does not know, since it has not the role of it.
options:
  _terms:
    description: The name of the role.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
__backup_site: "{{ lookup('workbot.stability.site', 'backup') }}"
"""

RETURN = r"""
_raw:
  description: For each role a dictionary.
  type: list
  elements: dict
"""

import typing as t

from ansible.plugins.lookup import LookupBase

from ..plugin_utils._site.roles import kept_site, site_of


class LookupModule(LookupBase):
    """The lookup ``site``."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **_options: t.Any) -> list[t.Any]:
        known = variables or {}
        return [kept_site(role, known) or site_of(role, known, self._templar.template) for role in terms]
