# Copyright: (c) 2026, workbot.stability contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks every variable of the play's roles on the controller, before anything on the host changes."""

from __future__ import annotations

import contextlib
import itertools
import os
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleUndefinedVariable
from ansible_collections.workbot.stability.plugins.module_utils._programs.alert.urls import url_problems
from ansible_collections.workbot.stability.plugins.module_utils._service.secret_values import (
    environment_problems,
    hide,
    secret_problems,
    weakness,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._ansible import origin_of
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.core import (
    CapacityError,
    Contradiction,
    Plan,
    plan,
)
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.desired import Desired
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.host import HostPlan, host_plan
from ansible_collections.workbot.stability.plugins.plugin_utils._capacity.parts import Settings
from ansible_collections.workbot.stability.plugins.plugin_utils._fleet.inventory import GROUPS, fleet_of, fleet_problems
from ansible_collections.workbot.stability.plugins.plugin_utils._site.roles import SITES, kept, site_variable
from ansible_collections.workbot.stability.plugins.plugin_utils._variables.check import (
    Option,
    Problem,
    RoleVariables,
    check_rules,
    check_type,
    secret_texts,
    show,
    unknown_variables,
)
from ansible_collections.workbot.stability.plugins.plugin_utils.actions import Action
from ansible_collections.workbot.stability.plugins.plugin_utils.templates import References, in_order

from ..module_utils._host.errors import StabilityError

_COLLECTION = "workbot.stability."
_ALL_RIGHT = "Every variable is right"
_LIST = {"type": "list", "elements": "str"}
_ARGUMENTS = {"roles": _LIST, "variables": _LIST, "overcommit": {"type": "bool", "default": False}}
# Of the service; only one of them can have a name.
_ENVIRONMENTS = ("pm2_environment", "service_environment", "service_secrets")
# As Ansible names them: it has read these files already.
_ROLES = Path(__file__).parents[2] / "roles"


class ActionModule(Action):
    """The action ``validate_variables``."""

    _requires_connection = False

    def outcome(self) -> dict[str, t.Any]:
        """Return the plan, or fail with all problems of the host."""
        problems = self._check_roles(self._is_asked)
        core: Plan | None = None
        if self._arguments["variables"] is None:
            if "service" in {role.role for role in self._roles}:
                problems += [*self._fleet_problems(), *self._service_problems()]
                if not any(name.startswith("service_") for name in self._wrong(problems)):
                    core, contradictions = self._plan()
                    problems += contradictions
            wrong = self._wrong(problems)
            problems += [problem for role in self._roles for problem in self._check_relations(role, wrong)]
            if core and not problems:
                problems = self._contradictions(self._host_plan(core).contradictions)
        if problems:
            return self._failure(problems)
        shown = {"plan": core.as_dict(), "service": self._values["service_name"], "msg": core.summary} if core else {}
        overcommit = self._arguments["overcommit"]
        found = {"serves": _serves(self._values), "overcommit": overcommit, "sites": self._sites()}
        return {"plan": {}, "msg": _ALL_RIGHT, **found, **shown}

    def _check_roles(self, is_asked: t.Callable[[str], bool]) -> list[Problem]:
        """Load what the roles declare and the good values; return what is wrong with the variables asked for."""
        self._hidden: set[str] = set()
        self._values: dict[str, t.Any] = {}
        _result, self._arguments = self.validate_argument_spec(_ARGUMENTS)
        self._roles = [self._load(name) for name in self._role_names()]
        self._options = {name: option for role in self._roles for name, option in role.options.items()}
        self._render_once()
        roles = (path.name for path in _ROLES.iterdir())
        unknown = unknown_variables(self.variables, self._roles, roles, self._ignored())
        found = [problem for role in self._roles for problem in self._check_role(role)]
        return [*unknown, *(problem for problem in [*found, *self._channel_problems()] if is_asked(problem.name))]

    def _render_once(self) -> None:
        """Have each variable's value where the templates of others look for it."""
        names = {name for role in self._roles for name in (*role.options, *role.derived)}
        own = {name: value for name, value in self.variables.items() if name in names}
        self._references = References()
        self._rendered: dict[str, t.Any] = {}
        self._current = dict(self.variables)
        self._templar: t.Any = self._templar.copy_with_new_env()
        for name in in_order(own.keys() & {*self._options, *map(site_variable, SITES)}, own):
            with contextlib.suppress(AnsibleError):
                self._rendered[name] = self._current[name] = self._template(own[name])

    def _template(self, given: t.Any) -> t.Any:
        return self._templar_for(given).template(given)

    def _templar_for(self, given: t.Any) -> t.Any:
        """The templar, with what `given` refers to."""
        self._templar.available_variables = self._references.of([given], self._current, self._rendered)
        return self._templar

    def _is_asked(self, name: str) -> bool:
        only = self._arguments["variables"]
        return only is None or base_name(name) in only

    def _channel_problems(self) -> list[Problem]:
        """Return what is wrong with the form of the URLs of alerting's channels."""
        found = url_problems(self._values.get("alerting_urls", ()))
        return [Problem(f"alerting_urls[{place}]", text) for place, text in found]

    def _fleet_problems(self) -> list[Problem]:
        """Return what is wrong with the inventory's groups and the host's address in them."""
        groups = self.variables["groups"]
        if not any(groups.get(name) for name in GROUPS if name != "app"):
            return []  # looking up every host's address takes seconds where there are many
        fleet = fleet_of(self.variables["hostvars"], groups)
        return [Problem(name, text) for name, text in fleet_problems(fleet, self.variables["inventory_hostname"])]

    def _service_problems(self) -> list[Problem]:
        """Return what is wrong with secrets: a proxy needs none, a database server the service's password."""
        if self._template(self.variables.get("service_runs_here", True)):
            values = self._values
            return [*_environment_problems(values), *_password_problems(values), *self._forgotten_database()]
        is_server = self.variables["inventory_hostname"] in self.variables["groups"].get("database", ())
        return _password_problems(self._values) if is_server else []

    def _forgotten_database(self) -> list[Problem]:
        """A password without a database is a database that was forgotten, unless it was said that there is none."""
        name, values = "service_database_enabled", self._values
        chosen = name in self.variables and not _is_derived(self._options[name], self.variables[name])
        if chosen or values.get(name) or not values.get("service_database_password"):
            return []
        text = "is not set, but service_database_password is; set it to true, or to false where there is no database"
        return [Problem(name, text)]

    def _role_names(self) -> list[str]:
        names = self._arguments["roles"] or self.variables.get("ansible_play_role_names", [])
        # A role of which a task imports or has included a part is named twice.
        own = list(dict.fromkeys(name.removeprefix(_COLLECTION) for name in names if name.startswith(_COLLECTION)))
        unknown = [name for name in own if not (_ROLES / name).is_dir()]
        if unknown:
            raise AnsibleActionFail(f"There is no role {_COLLECTION}{unknown[0]}")
        return own

    def _load(self, role: str) -> RoleVariables:
        """Return what the role's argument_specs and vars declare."""
        specs = self._read(role, "meta/argument_specs.yml").get("argument_specs", {})
        derived = self._derived(role)
        rules = derived.get(f"__{role}_rules") or {}
        relations = derived.get(f"__{role}_relations") or []
        return RoleVariables(role, specs.get("main", {}).get("options") or {}, frozenset(derived), rules, relations)

    def _derived(self, role: str) -> dict[str, t.Any]:
        """Return the role's vars, which are in a file or in several of a directory, as Ansible reads them."""
        several = sorted(file.name for file in (_ROLES / role / "vars/main").glob("*.yml"))
        names = [f"vars/main/{name}" for name in several] or ["vars/main.yml"]
        return {key: value for name in names for key, value in self._read(role, name).items()}

    def _read(self, role: str, name: str) -> dict[str, t.Any]:
        path = str(_ROLES / role / name)
        if not self._loader.path_exists(path):
            return {}
        # `unsafe` is without a copy, which would take longer than the reading: nothing here is changed
        return self._loader.load_from_file(path, unsafe=True, trusted_as_template=True) or {}

    def _ignored(self) -> list[str]:
        try:
            ignored = self._template(self.variables.get("service_ignored_variables", []))
        except AnsibleError:
            return []  # reported with the other values
        return ignored if isinstance(ignored, list) else []

    def _check_role(self, role: RoleVariables) -> list[Problem]:
        """Check the types and rules of one role, and keep its good values."""
        problems: list[Problem] = []
        own: dict[str, t.Any] = {}
        for name, option in role.options.items():
            if name not in self.variables:
                if option.get("required"):
                    problems.append(Problem(name, "is required and not set"))
                continue
            value, found = self._check_value(name, option, self.variables[name])
            problems += found
            if value is not None and not found:
                self._values[name] = value
                if not _is_derived(option, self.variables[name]):
                    own[name] = value
        try:
            return problems + check_rules(role, own, self.variables.get("inventory_dir") or "")
        except StabilityError as error:
            raise AnsibleActionFail(f"Role {role.role}: {error}") from error

    def _wrong(self, problems: t.Iterable[Problem]) -> set[str]:
        """Return the wrong variables that conditions can depend on; a misspelled one is read by nothing."""
        names = {base_name(problem.name) for problem in problems}
        return names & {*self._options, *GROUPS, "gather_facts", "service_plan"}

    def _sites(self) -> dict[str, t.Any]:
        """Return what follows from the variables for each role, for those who ask for it later."""
        found = {}
        for role in SITES:
            name = site_variable(role)
            if site := self._rendered.get(name):
                read = self._references.reached(self.variables[name], self.variables)
                found[role] = kept(self.variables, read, site)
        return found

    def _check_relations(self, role: RoleVariables, wrong: set[str]) -> t.Iterator[Problem]:
        """Yield a problem for each condition that does not hold, unless one of its variables is wrong already."""
        for relation in role.relations:
            if wrong and self._reads(relation, wrong):
                continue
            if not self._templar_for(relation["that"]).evaluate_conditional(relation["that"]):
                yield self._problem(relation["variable"], str(self._template(relation["message"])))

    def _reads(self, relation: dict[str, str], wrong: set[str]) -> bool:
        """Return whether a condition depends on a wrong variable, also through others; without facts any may."""
        given = [relation["variable"], relation["that"], relation["message"]]
        return "gather_facts" in wrong or not wrong.isdisjoint(self._references.of(given, self.variables, {}))

    def _check_value(self, name: str, option: Option, raw: t.Any) -> tuple[t.Any, list[Problem]]:
        # A default made from other variables is wrong only when one of them is, which has a line of its own.
        derived = _is_derived(option, raw)
        try:
            value = self._rendered[name] if name in self._rendered else self._template(raw)
        except AnsibleError as error:
            return None, [] if derived else [Problem(name, _template_problem(error, option))]
        self._hidden |= secret_texts(value, option)
        value, problems = check_type(name, value, option)
        return (None, []) if derived and problems else (value, problems)

    def _plan(self) -> tuple[Plan | None, list[Problem]]:
        """Return the core of the capacity plan, or what contradicts itself in it."""
        try:
            desired = Desired.of(self._template(self.variables["__service_capacity"]))
        except AnsibleUndefinedVariable as error:
            return None, [Problem("gather_facts", f"the plan needs the host's cores and memory: {error.message}")]
        except StabilityError as error:
            return None, [Problem("service_plan", str(error))]
        try:
            return self._plan_of(desired), []
        except CapacityError as error:
            return None, self._contradictions(error.contradictions)

    def _plan_of(self, desired: Desired) -> Plan:
        """Return the plan; one that counts nobody else where that is better than none. Raises CapacityError."""
        try:
            return plan(desired)
        except CapacityError as error:
            if not (desired.others and self._arguments["overcommit"]):
                raise
            alone = plan(replace(desired, others=()))
            host = self.variables["inventory_hostname"]
            reasons = "; ".join(found.message for found in error.contradictions)
            self._display.warning(
                f"{host}: {reasons}. Until then its plan counts no other service, and site.yml refuses it."
            )
            return alone

    def _host_plan(self, core: Plan) -> HostPlan:
        """Return the whole plan, of the values, those among them that the user set, and the host's disks."""
        values, facts = self._values, self.variables.get("ansible_facts", {})
        set_by_user = {name for name in values if self.variables.get(name) != self._options[name].get("default")}
        return host_plan(core, Settings(values, frozenset(set_by_user), facts.get("mounts") or ()))

    def _contradictions(self, found: t.Sequence[Contradiction]) -> list[Problem]:
        """Return the plan's contradictions as problems of variables."""
        return [self._problem(one.variable, one.message) for one in found]

    def _problem(self, name: str, message: str) -> Problem:
        return Problem(name, message, show(self._values.get(name), self._options.get(name, {})))

    def _failure(self, problems: list[Problem]) -> dict[str, t.Any]:
        host = str(self.variables.get("inventory_hostname", ""))
        lines = [problem.line(host, _origin(self.variables, problem.name)) for problem in problems]
        wrong = len({base_name(problem.name) for problem in problems})
        count = "One variable is" if wrong == 1 else f"{wrong} variables are"
        # A password such as "instance" is in names that the message needs, which hiding would garble and not protect.
        hidden = {text for text in self._hidden if not any(text in name for name in self._options)}
        report = hide(f"{count} wrong; nothing was changed.\n" + "\n".join(lines), hidden)
        # One text alone: structured as well, Ansible would print everything twice.
        return {"failed": True, "msg": report}


def _serves(values: dict[str, t.Any]) -> list[str]:
    """Return each name on each port that the host's Nginx is to answer to for the service."""
    if "nginx_server_names" not in values or values.get("service_supervisor") != "collection":
        return []
    ports = [values["nginx_port"], *([values["nginx_tls_port"]] if values["nginx_tls_enabled"] else [])]
    return [f"{name.lower()} on port {port}" for port in ports for name in values["nginx_server_names"]]


def _environment_problems(values: dict[str, t.Any]) -> list[Problem]:
    """Return what is wrong with the environment and the secrets in it."""
    given = {variable: values.get(variable, {}) for variable in _ENVIRONMENTS}
    found = [(f"{variable}.{name}", text) for variable in given for name, text in environment_problems(given[variable])]
    if {"service_secrets", "service_secret_min_length"} <= set(values):
        # A service that runs under something else has its own already.
        is_own = values.get("service_supervisor", "collection") == "collection"
        required = values.get("service_required_secrets", []) if is_own else []
        least = values["service_secret_min_length"]
        found += [
            (f"service_secrets.{name}", text)
            for name, text in secret_problems(given["service_secrets"], required, least)
        ]
    for one, other in itertools.combinations(given, 2):
        both = sorted(set(given[one]) & set(given[other]))
        found += [(f"{one}.{name}", f"is in {other} too; keep one of them") for name in both]
    return [Problem(name, text) for name, text in found]


def _password_problems(values: dict[str, t.Any]) -> list[Problem]:
    """Return what is wrong with the database's password where one is needed: over the network, not at a socket."""
    at_socket = str(values.get("service_database_host", "")).startswith("/")
    if not values.get("service_database_enabled") or at_socket or "service_database_password" not in values:
        return []
    password = values["service_database_password"]
    reason = "has a NUL byte, which no environment can hold" if "\0" in password else weakness(password)
    text = f"{reason}; the database needs one, or set service_database_enabled to false"
    return [Problem("service_database_password", text)] if reason else []


def _is_derived(option: Option, raw: t.Any) -> bool:
    """Return whether the value is the role's own default, made from other variables."""
    return isinstance(raw, str) and "{{" in raw and raw == option.get("default")


def _template_problem(error: AnsibleError, option: Option) -> str:
    if isinstance(error, AnsibleUndefinedVariable) or not option.get("no_log"):
        return f"can't be templated: {str(error.message).rstrip('.')}"
    # Ansible's message quotes the template, which here is the secret itself.
    return "can't be templated: a secret that has {{, {% or {# in it must be marked with !unsafe"


def base_name(label: str) -> str:
    """Return the variable in which a place such as nginx_limits[0].name is."""
    return label.partition(".")[0].partition("[")[0]


def _origin(variables: dict[str, t.Any], label: str) -> str:
    """Return the file and line that the user wrote the variable in, where Ansible knows them."""
    origin = origin_of(variables.get(base_name(label)))
    if origin is None:
        return ""
    if not origin.path:
        return str(origin.description or "").strip("<>")
    if Path(origin.path).resolve().is_relative_to(_ROLES.resolve()):
        return ""
    place = os.path.relpath(origin.path)
    place = origin.path if place.startswith("../..") else place
    return f"{place}:{origin.line_num}" if origin.line_num else place
