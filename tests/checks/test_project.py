# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project keeps its own rules. Each check stands in its own file with what it means and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ansible_checks as ansible
import document_checks as documents
import jinja_checks as jinja
import layout_checks as layout
import path_checks as paths
import pytest
import removal_checks as removal
import role_checks as roles
import superuser_checks as superusers
from project import ROOT

CHECKS = [
    roles.defaults_are_generated,
    roles.specifications_are_sound,
    roles.variables_are_explained,
    roles.secrets_stay_silent,
    roles.rules_name_variables,
    roles.booleans_may_be_text,
    roles.main_only_includes,
    roles.roles_have_no_tags,
    roles.roles_keep_apart,
    roles.templates_say_who_writes,
    jinja.expressions_are_small,
    layout.playbooks_apply_every_role,
    layout.scenarios_converge_and_verify,
    layout.files_are_short,
    layout.modules_import_whole_names,
    layout.modules_end_in_one_place,
    layout.files_are_portable,
    layout.dependencies_are_declared,
    documents.role_tables_are_current,
    documents.languages_agree,
    documents.readmes_name_everything,
    documents.readmes_name_what_exists,
    documents.changes_are_recorded,
    removal.removal_knows_the_layout,
    removal.removal_table_is_current,
    paths.root_uses_no_paths,
    ansible.one_file_knows_what_is_ansible_s_own,
    superusers.one_place_connects,
    superusers.modules_of_others_connect_nowhere,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_project(check: Callable[[Path], list[str]]) -> None:
    problems = check(ROOT)
    assert not problems, "\n" + "\n".join(problems)
