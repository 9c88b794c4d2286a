# `make help` lists the targets. They only call what you would call yourself after `make setup`: .venv/bin/... holds
# ansible-playbook, molecule, pytest and the linters. The shell scripts in tools/ hold the longer steps.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PODMAN_IGNORE_CGROUPSV1_WARNING := 1
export MOLECULE_COMMAND_BORDERS := false
# Makes hosts of its own, and removes them.
OWN_HOSTS := fleet
# Begins on a bare host: what an earlier one has left there has taken its part of it.
ON_BARE_HOST := apps
# site first: the others go on with the host that it leaves.
# The last one leaves services on the host that take what those of others would need.
SCENARIOS := site $(filter-out default site apps,$(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))) apps
# The environment holds paths: a checkout that was moved needs a new one.
READY := .venv/ready$(subst /,-,$(CURDIR))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort -s -t: -k1,1 | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY) ## Install what is missing: Debian packages, .venv with the pinned tools

$(READY): requirements.txt requirements-dev.txt tools/setup tools/lib.sh
	@tools/setup
	@touch $@

.PHONY: site
site: $(READY) ## A local Debian host with the whole service on it, at http://127.0.0.1:8080
	@tools/site

.PHONY: clean-site
clean-site: $(READY) ## Remove the host that `make site` made
	@tools/clean site

# Lanes run side by side, because scenarios mostly wait. Each has hosts of its own, and what a lane begins with begins on a bare one.
.PHONY: test
test: $(READY) ## What a change needs before it lands, in two lanes: what CI runs
	@tools/lanes trixie 'scenario-site example' trixie 'lint check-project unit'

LANE_2 := fleet adopt attacks neighbours apps
LANE_3 := recovery database monitor
.PHONY: test-all
test-all: $(READY) ## All tests, in three lanes: every scenario, on Debian 13 or 12
	@tools/lanes --keep-going \
	  trixie '$(addprefix scenario-,$(filter-out $(LANE_2) $(LANE_3),$(SCENARIOS))) lint unit' \
	  bookworm 'check-project example $(addprefix scenario-,$(LANE_2))' \
	  bookworm '$(addprefix scenario-,$(LANE_3))'

.PHONY: lint
lint: lint-ansible lint-yaml lint-python lint-imports lint-shell lint-changelog lint-sanity ## All linters

.PHONY: lint-ansible
lint-ansible: $(READY) ## ansible-lint, profile production
	@echo '== ansible-lint'
	@# -qq: without a warning that it can't follow an import_playbook whose name depends on the inventory
	@ansible-lint -qq

.PHONY: lint-yaml
lint-yaml: $(READY) ## yamllint
	@echo '== yamllint'
	@yamllint --strict .

.PHONY: lint-python
lint-python: $(READY) ## ruff and mypy
	@echo '== ruff'
	@ruff check --quiet
	@ruff format --check --quiet --diff
	@echo '== mypy'
	@mypy --no-error-summary

.PHONY: lint-imports
lint-imports: $(READY) ## import-linter: components import downwards only
	@echo '== import-linter'
	@lint-imports --no-cache --no-logo

.PHONY: lint-shell
lint-shell: $(READY) ## shellcheck on every shell script
	@echo '== shellcheck'
	@git ls-files -co --exclude-standard -- "." ":!*.j2" | while read -r file; do \
	  [ -f "$$file" ] && head -n 1 "$$file" | grep -aqE '^#!.*\b(ba|da)?sh\b|shellcheck shell=' && printf '%s\0' "$$file" || true; \
	done | xargs -0 -r shellcheck -x

.PHONY: lint-changelog
lint-changelog: $(READY) ## antsibull-changelog
	@echo '== antsibull-changelog'
	@antsibull-changelog lint

.PHONY: lint-sanity
lint-sanity: $(READY) ## ansible-test sanity, without ignore files
	@echo '== ansible-test sanity'
	@tools/sanity

.PHONY: unit
unit: $(READY) ## Unit tests of the plugins, and of the load driver that molecule's tests use
	@echo '== unit tests'
	@python -m pytest -q tests/unit tests/load
	@tools/unit-ansible

.PHONY: check-project
check-project: $(READY) ## The project's own checks: documents, roles, scenarios, the built tarball
	@echo '== checks of the project'
	@python -m pytest -q tests/checks

.PHONY: example
example: $(READY) ## The reference service's own tests
	@echo '== tests of examples/workbot'
	@tools/example

.PHONY: molecule
molecule: $(READY) ## Every scenario, one after the other; one of them: make molecule SCENARIOS=site
	@trap '$(MAKE) clean-hosts' EXIT; \
	for scenario in $(SCENARIOS); do $(MAKE) "scenario-$$scenario"; done

.PHONY: $(addprefix scenario-,$(SCENARIOS))
$(addprefix scenario-,$(SCENARIOS)): scenario-%: $(READY)
	@echo '== molecule test -s $*'
	@$(if $(filter $*,$(ON_BARE_HOST)),molecule cleanup -s site)
	@molecule test -s $* $(if $(filter $*,$(OWN_HOSTS)),,--destroy=never)

.PHONY: clean-hosts
clean-hosts: $(READY) ## Remove the hosts that the scenarios were run on
	@for scenario in site $(filter $(OWN_HOSTS),$(SCENARIOS)); do molecule destroy -s $$scenario; done

.PHONY: soak
soak: export PYTEST_ADDOPTS := -m 'soak or not soak'
soak: molecule ## As make molecule, with the repetitions and the hour under load that CI leaves out

.PHONY: benchmark-nginx
benchmark-nginx: $(READY) ## Throughput of the role's site next to the plan's configuration, on the scenarios' host
	@python benchmarks/nginx_throughput.py

.PHONY: benchmark-indexes
benchmark-indexes: $(READY) ## How long writes stall while an index is made: ours, plain SQL, postgresql_idx
	@molecule create -s site
	@molecule converge -s site
	@python benchmarks/indexes.py

.PHONY: benchmark-recovery
benchmark-recovery: $(READY) ## From each fault to well again, and what the watchdog costs
	@molecule create -s site
	@molecule converge -s recovery
	@python -m pytest molecule/recovery/tests
	@python benchmarks/recovery.py

.PHONY: benchmark-drill
benchmark-drill: $(READY) ## How long the service takes to answer beside a drill of the backups, and without
	@molecule create -s site
	@molecule converge -s backup
	@python benchmarks/drill.py

.PHONY: benchmark-workers
benchmark-workers: $(READY) ## A socket of each worker beside a shared one: who waits when a worker ends, throughput, balance
	@molecule create -s site
	@molecule converge -s site
	@python benchmarks/workers.py

.PHONY: benchmark-speed
benchmark-speed: $(READY) ## First and second runs of site.yml beside pyinfra, a shell script and a usual playbook
	@python -m venv .cache/benchmark
	@.cache/benchmark/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@python benchmarks/speed.py $(SPEED)

.PHONY: docs
docs: $(READY) ## Write what is generated: the roles' defaults and tables of variables, the table of what a removal takes, the dashboard
	@python tools/role_defaults.py
	@for role in roles/*/; do aar-doc "$$role" markdown; done
	@python tests/checks/removal_checks.py
	@PYTHONPATH=tools python -m dashboard

.PHONY: pictures
pictures: $(READY) ## Draw the pictures of the report again, of a simulated service, or with PAGES=DIRECTORY of a host's pages
	@tools/pictures $(PAGES)

.PHONY: dashboard-picture
dashboard-picture: $(READY) ## Draw the picture of the dashboard from what a PROMETHEUS has, by default http://127.0.0.1:9090
	@tools/dashboard-picture $(or $(PROMETHEUS),http://127.0.0.1:9090)

.PHONY: toolchain-lock
toolchain-lock: $(READY) ## Write the lock file of Node.js, npm, pnpm and PM2 again, for the default versions
	@tools/toolchain-lock

.PHONY: format
format: $(READY) ## Format the Python files
	@ruff check --quiet --fix-only
	@ruff format --quiet

.PHONY: package
package: $(READY) ## Build the collection's tarball into .cache/package
	@ansible-galaxy collection build --force --output-path .cache/package

.PHONY: clean
clean: ## Remove the hosts, their images, .venv and all caches
	@tools/clean
