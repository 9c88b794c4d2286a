# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check passes a small sound project, and fails when one thing in it is broken."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import ansible_samples as ansible
import document_checks as documents
import jinja_checks as jinja
import layout_checks as layout
import path_samples as paths
import pytest
import removal_samples as removal
import role_checks as roles
import role_defaults
import superuser_samples as superusers
from project import ROOT
from test_project import CHECKS

Check = Callable[[Path], list[str]]

SPECIFICATION = """---
argument_specs:
  main:
    short_description: A web server
    description: [Serves the web.]
    version_added: 0.1.0
    options:
      web_name:
        type: str
        required: true
        description: Name of the server.
      web_port:
        type: int
        default: 80
        description: Port to listen on.
      web_upstreams:
        type: list
        elements: dict
        default:
          - name: app
            weight: 1
        description: The upstreams.
        options:
          name:
            type: str
            required: true
            description: Name of the upstream.
          weight:
            type: int
            default: 1
            description: Share of the requests.
      web_user:
        type: str
        default: "{{ service_user }}"
        description: User of the server.
      web_password:
        type: str
        default: ""
        no_log: true
        description: Password of the status page.
      web_quiet:
        type: bool
        default: false
        description: Whether it writes no log.
"""
CACHE = (
    "argument_specs: {main: {short_description: A cache, description: [Keeps.], version_added: 0.1.0, "
    "options: {cache_size: {type: int, default: 1, description: Megabytes.}}}}\n"
)
VARIABLES = """
<!-- BEGIN_ANSIBLE_DOCS -->

| Variable | Type | Default | What it is |
| --- | --- | --- | --- |
| `web_name` | str | **required** | Name of the server. |
| `web_port` | int | `80` | Port to listen on. |
| `web_upstreams` | list of dict | `[{"name": "app", "weight": 1}]` | The upstreams. |
| `web_user` | str | `{{ service_user }}` | User of the server. |
| `web_password` | str | `""` | Password of the status page. Secret. |
| `web_quiet` | bool | `false` | Whether it writes no log. |

Keys of `web_upstreams`:

| Key | Type | Default | What it is |
| --- | --- | --- | --- |
| `name` | str | **required** | Name of the upstream. |
| `weight` | int | `1` | Share of the requests. |

<!-- END_ANSIBLE_DOCS -->
"""
README = """# Stability

<!-- table: roles -->
| Role | What it does |
| --- | --- |
| `cache` | A cache |
| `web` | A server |

<!-- table: modules -->
| Module | What it does |
| --- | --- |
| `ping_check` | Asks |

<!-- table: playbooks -->
| Playbook | What it does |
| --- | --- |
| `site` | All |

<!-- table: tags -->
| Tag | What it does |
| --- | --- |
| `long_term` | All |

Set `web_port`, see [contributing](CONTRIBUTING.md).

```shell
make site  # a comment
ansible-playbook -i inventory workbot.stability.site --tags long_term
```
"""
META = "galaxy_info: {description: A, platforms: [], license: GPL-3.0-or-later, author: us}\n"
SPECIFIED = "roles/web/meta/argument_specs.yml"
TEMPLATE = "roles/web/templates/web.conf.j2"
HOUSE = {
    "galaxy.yml": "namespace: workbot\nname: stability\nversion: 0.1.0\ndependencies: {community.general: '*'}\n",
    "Makefile": "site: setup\n",
    "README.md": README,
    "README.zh-CN.md": README.replace("A server", "服务器").replace("a comment", "注释"),
    "CONTRIBUTING.md": "# Contributing\n",
    "changelogs/fragments/first.yml": "release_summary: First.\n",
    **removal.SOUND,
    "plugins/modules/ping_check.py": "",
    **ansible.SOUND,
    **paths.SOUND,
    "molecule/default/molecule.yml": "---\n",
    "molecule/default/create.yml": "---\n",
    "molecule/default/destroy.yml": "---\n",
    "molecule/site/molecule.yml": "---\n",
    "molecule/site/converge.yml": "---\n",
    "molecule/site/tests/test_site.py": "",
    "playbooks/site.yml": "- hosts: app\n  roles:\n"
    "    - {role: workbot.stability.web, tags: [long_term]}\n    - role: workbot.stability.cache\n",
    **superusers.SOUND,
    "roles/web/defaults/main.yml": role_defaults.defaults_text(SPECIFICATION),
    SPECIFIED: SPECIFICATION,
    "roles/web/meta/main.yml": META,
    "roles/web/vars/main.yml": "__web_rules: {web_port: {rule: port}, 'web_upstreams[].name': {rule: name}}\n"
    "__web_relations: [{variable: web_upstreams, that: web_upstreams | length > 0, message: is empty}]\n",
    "roles/web/tasks/main.yml": "- name: Configure\n  ansible.builtin.import_tasks: configure.yml\n",
    "roles/web/tasks/configure.yml": "# cache_size is not ours.\n- name: Set\n  community.general.ini_file:\n"
    "    value: '{{ service_name }}'\n  when: not web_quiet | bool\n",
    TEMPLATE: "{{ ansible_managed | comment }}\nlisten {{ web_port }}\n",
    "roles/web/templates/run.sh.j2": "#!/bin/sh\n{{ ansible_managed | comment }}\n",
    "roles/web/README.md": f"# web\n{VARIABLES}",
    "roles/cache/defaults/main.yml": role_defaults.defaults_text(CACHE),
    "roles/cache/meta/argument_specs.yml": CACHE,
    "roles/cache/meta/main.yml": META,
    "roles/cache/tasks/main.yml": "- ansible.builtin.import_tasks: install.yml\n",
    "roles/cache/tasks/install.yml": "- name: Create\n  ansible.builtin.file: {path: /var/cache/web, mode: '0755'}\n",
    "roles/cache/README.md": "# cache\n\n<!-- BEGIN_ANSIBLE_DOCS -->\n\n| Variable | Type | Default | What it is |\n"
    "| --- | --- | --- | --- |\n| `cache_size` | int | `1` | Megabytes. |\n\n<!-- END_ANSIBLE_DOCS -->\n",
}

# Check, file, what is taken out, what comes in its place, and what the check then says.
BROKEN: list[tuple[Check, str, str, str, str]] = [
    (
        roles.defaults_are_generated,
        "roles/web/defaults/main.yml",
        "web_port: 80",
        "web_port: 81",
        "web: defaults/main.yml",
    ),
    (roles.defaults_are_generated, SPECIFIED, "Port to", "TCP port to", "run `make docs`"),
    (roles.specifications_are_sound, SPECIFIED, " web_user:", " user:", "user: a variable of role web"),
    (roles.specifications_are_sound, SPECIFIED, "required: true", "required: false", "web_name: must be req"),
    (
        roles.specifications_are_sound,
        SPECIFIED,
        "required: true",
        "required: true\n        default: x",
        "web_name: must",
    ),
    (roles.specifications_are_sound, SPECIFIED, "type: int", "type: bool", "expected true or false"),
    (roles.specifications_are_sound, SPECIFIED, "elements: dict", "elements: str", "upstreams[0] = "),
    (roles.specifications_are_sound, SPECIFIED, "\n          weight:", "\n          w:", "weight (its default"),
    (
        roles.specifications_are_sound,
        SPECIFIED,
        "default: 80\n",
        "default: 80\n        choices: [1]\n",
        "expected one of 1",
    ),
    (roles.variables_are_explained, SPECIFIED, "description: Share of the requests.", "", "no desc"),
    (roles.variables_are_explained, SPECIFIED, "short_description: A web server", "x: 1", "no short"),
    (roles.variables_are_explained, SPECIFIED, "[Serves the web.]", "", "no description"),
    (roles.variables_are_explained, SPECIFIED, "version_added: 0.1.0", "x: 1", "no version_added"),
    (roles.secrets_stay_silent, SPECIFIED, "        no_log: true\n", "", "say no_log"),
    (roles.secrets_stay_silent, SPECIFIED, "no_log: true", "no_log: false", "must be true"),
    (roles.booleans_may_be_text, "roles/web/tasks/configure.yml", "quiet | bool", "quiet", "web_quiet needs | bool"),
    (roles.booleans_may_be_text, TEMPLATE, "{{ web_port", "{{ 1 if web_quiet", "web_quiet needs"),
    (roles.rules_name_variables, "roles/web/vars/main.yml", "web_port", "web_prt", "no variable web_prt"),
    (roles.rules_name_variables, "roles/web/vars/main.yml", "[].name", "[].title", "no key title"),
    (
        roles.rules_name_variables,
        "roles/web/vars/main.yml",
        "variable: web_up",
        "variable: web_dow",
        "no variable web_d",
    ),
    (
        roles.main_only_includes,
        "roles/web/tasks/main.yml",
        "import_tasks: configure.yml",
        "ping:",
        "more than includes",
    ),
    (
        roles.main_only_includes,
        "roles/web/tasks/main.yml",
        "- name: Configure\n  ansible.builtin.import_tasks: configure.yml",
        "",
        "no tasks",
    ),
    (roles.roles_have_no_tags, "roles/web/tasks/configure.yml", "- name: Set", "- name: Set\n  tags: [x]", "has tags"),
    (roles.roles_keep_apart, "roles/web/tasks/configure.yml", "service_name", "cache_size", "reads cache_size"),
    (roles.roles_keep_apart, TEMPLATE, "web_port", "__cache_file", "reads __cache_file"),
    (jinja.expressions_are_small, TEMPLATE, "web_port", "web_port\n " + " | int" * 30, "j2:2: an expression of 194"),
    (jinja.expressions_are_small, TEMPLATE, "web_port", "'[1]' | from_yaml", "j2:2: reads a printed"),
    (roles.templates_say_who_writes, "roles/web/templates/run.sh.j2", "| comment", "", "does not start"),
    (
        layout.playbooks_apply_every_role,
        "playbooks/site.yml",
        "stability.cache",
        "stability.cash",
        "cash, which does not",
    ),
    (
        layout.playbooks_apply_every_role,
        "playbooks/site.yml",
        "stability.cache",
        "stability.cash",
        "cache: no playbook",
    ),
    (layout.scenarios_converge_and_verify, "molecule/site/converge.yml", "", "DELETE", "site: has no converge.yml"),
    (layout.scenarios_converge_and_verify, "molecule/site/tests/test_site.py", "", "DELETE", "site: has no verify.yml"),
    (layout.scenarios_converge_and_verify, "molecule/default/destroy.yml", "", "DELETE", "default: has no destroy.yml"),
    (layout.files_are_short, "plugins/modules/ping_check.py", "", "pass\n" * 401, "401 lines"),
    (
        layout.modules_import_whole_names,
        "plugins/modules/ping_check.py",
        "",
        "from ..module_utils._x import y\n",
        "py:1: imports from its neighbours",
    ),
    (
        layout.modules_end_in_one_place,
        "plugins/modules/ping_check.py",
        "",
        "from ansible.module_utils.basic import AnsibleModule\n",
        "uses AnsibleModule",
    ),
    (layout.files_are_portable, "galaxy.yml", "0.1.0", "/".join(["", "work", "main"]), "one machine"),
    (
        layout.files_are_portable,
        "galaxy.yml",
        "0.1.0",
        ".".join(["registry", "npmjs", "org"]),
        "galaxy.yml:3: names a package",
    ),
    (
        layout.dependencies_are_declared,
        "galaxy.yml",
        "community.general",
        "community.mysql",
        "community.general, whose",
    ),
    (
        layout.dependencies_are_declared,
        "galaxy.yml",
        "community.general",
        "community.mysql",
        "community.mysql, which nothing",
    ),
    (documents.role_tables_are_current, "roles/web/README.md", "`80`", "`81`", "not current"),
    (documents.role_tables_are_current, "roles/web/README.md", "<!-- END_ANSIBLE_DOCS -->", "", "aar-doc says"),
    (documents.languages_agree, "README.zh-CN.md", "# Stability", "## Stability", "levels of headings"),
    (documents.languages_agree, "README.zh-CN.md", "make site", "make sites", "code blocks"),
    (documents.languages_agree, "README.zh-CN.md", "| `web` | 服务器 |\n", "", "tables"),
    (documents.readmes_name_everything, "README.md", "| `web` | A server |\n", "", "the table of roles lacks web"),
    (documents.readmes_name_everything, "README.md", "ping_check", "ping", "modules has ping, which is not there"),
    (
        documents.readmes_name_everything,
        "README.md",
        "| `long_term`",
        "| `longterm`",
        "the table of tags lacks long_term",
    ),
    (documents.readmes_name_what_exists, "README.md", "`web_port`", "`web_prt`", "the variable web_prt"),
    (documents.readmes_name_what_exists, "README.md", "stability.site", "stability.sites", "collection sites"),
    (documents.readmes_name_what_exists, "README.md", "--tags long_term", "--tags long", "the tag long"),
    (documents.readmes_name_what_exists, "README.md", "make site", "make sight", "make target sight"),
    (documents.readmes_name_what_exists, "README.md", "(CONTRIBUTING.md)", "(CONTRIB.md)", "links to CONTRIB.md"),
    (documents.changes_are_recorded, "changelogs/fragments/first.yml", "", "DELETE", "neither the release 0.1.0"),
    *ansible.BROKEN,
    *paths.BROKEN,
    *removal.BROKEN,
    *superusers.BROKEN,
]

# Another variable: file, where, and what comes before that.
ADDED = [
    (
        SPECIFIED,
        "      web_quiet:\n",
        "      web_backlog: {type: int, default: 511, description: Waiting clients.}\n",
    ),
    ("roles/web/vars/main.yml", "web_port: {rule: port}", "web_backlog: {rule: integer, min: 1}, "),
    (TEMPLATE, "listen", "backlog {{ web_backlog }}\n"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in HOUSE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_passes_a_sound_house(check: Check, project: Path) -> None:
    assert check(project) == []


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case[0].__name__}: {case[4]}")
def test_fails_when_broken(case: tuple[Check, str, str, str, str], project: Path) -> None:
    check, name, old, new, expected = case
    path = project / name
    if new == "DELETE":
        path.unlink()
    else:
        sound = path.read_text(encoding="utf-8")
        assert old in sound
        path.write_text(sound.replace(old, new, 1), encoding="utf-8")
    assert expected in "\n".join(check(project))


def test_a_variable_is_written_in_three_files_beside_its_test(project: Path) -> None:
    """The recipe in CONTRIBUTING: what is not written by hand, `make docs` generates, and every check passes."""
    for name, old, new in ADDED:
        text = (project / name).read_text(encoding="utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new + old), encoding="utf-8")
    assert roles.defaults_are_generated(project)
    assert documents.role_tables_are_current(project)

    role_defaults.write(project / "roles")
    subprocess.run([documents.AAR_DOC, project / "roles/web", "markdown"], cwd=ROOT, check=True, capture_output=True)

    assert [problem for check in CHECKS for problem in check(project)] == []
    assert "\n# Waiting clients.\nweb_backlog: 511\n" in documents.read(project, "roles/web/defaults/main.yml")
    assert "| `web_backlog` | int | `511` | Waiting clients. |" in documents.read(project, "roles/web/README.md")


def test_every_check_is_seen_to_fail() -> None:
    assert {case[0] for case in BROKEN} == set(CHECKS)
