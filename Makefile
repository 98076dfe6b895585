# `make run` builds and starts the hub; `make check` is what CI runs; `make help` lists the rest.

CARGO ?= cargo
HUB ?= http://127.0.0.1:8080
TARGET := $(or $(CARGO_TARGET_DIR),target)
BIN := $(TARGET)/release/inspection-hub
WEB := web/dist/index.html
BROWSER := tests/browser/node_modules/.package-lock.json
SCHEMA := tests/schema/node_modules/.package-lock.json
OIDC := tests/oidc/node_modules/.package-lock.json
CLIENTS := tests/clients/node_modules/.package-lock.json
EXAMPLES := docs/clients/node_modules/.package-lock.json
PYTHON := $(TARGET)/python/installed
SKIPPED := $(TARGET)/skipped-tests.tsv

# Checks of the dependencies, in these versions.
DENY := $(TARGET)/tools/cargo-deny-0.20.2/bin/cargo-deny
MACHETE := $(TARGET)/tools/cargo-machete-0.9.2/bin/cargo-machete

# All tests on SQLite, then those that use the database again on a PostgreSQL server of their own.
define TEST
@rm -f $(SKIPPED)
$(CARGO) test --workspace --features failpoints --locked
PROPTEST_CASES=$${PROPTEST_CASES:-6} tests/postgres.sh $(CARGO) test --features failpoints --locked --lib -- auth graphql simulate store::write
PROPTEST_CASES=$${PROPTEST_CASES:-6} tests/postgres.sh $(CARGO) test --features failpoints --locked --test hub -- \
	--skip fault_injection::postgres --skip fault_injection::disk --skip playground --skip docs --skip clients:: --skip fuzz::
@tests/skipped.sh $(SKIPPED)
endef

.PHONY: run test soak check demo bench web schema help tools browser python

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(WEB) ## Build the hub and serve on 127.0.0.1:8080, with SQLite in data/
	$(CARGO) run --release -- serve

test: $(WEB) $(BROWSER) $(SCHEMA) $(OIDC) $(CLIENTS) $(EXAMPLES) $(PYTHON) browser ## Run all tests on SQLite and PostgreSQL; installs what they need, and ends with the skipped ones
	$(TEST)
	cd tests/schema && npm run --silent test

soak: $(WEB) $(BROWSER) $(PYTHON) ## Run the long tests: 100,000 schedules, 1,000 disconnected subscribers, fuzzing; takes over an hour
	SOAK=20000 $(CARGO) test --release --features failpoints --locked --test hub -- order::
	ulimit -n $$(ulimit -Hn); SOAK_SUBSCRIBERS=1000 $(CARGO) test --release --features failpoints --locked --test hub -- fault_injection::resume
	SOAK=500 tests/postgres.sh $(CARGO) test --release --features failpoints --locked --test hub -- order::
	SOAK_SUBSCRIBERS=200 tests/postgres.sh $(CARGO) test --release --features failpoints --locked --test hub -- \
		fault_injection::resume fault_injection::failpoints crash replicas
	FUZZ_SECONDS=300 $(CARGO) test --release --features failpoints --locked --test hub -- fuzz::

check: $(WEB) $(BROWSER) $(SCHEMA) $(OIDC) $(CLIENTS) $(EXAMPLES) $(PYTHON) $(DENY) $(MACHETE) browser ## Run what CI runs: format, dependencies, lints, docs, and all tests, which compare the generated files
	$(CARGO) fmt --all --check
	$(DENY) --log-level warn check licenses bans sources
	$(MACHETE) .
	$(CARGO) clippy --workspace --all-targets --features failpoints --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	$(TEST)
	cd web && npm run --silent check
	cd tests/schema && npm run --silent test

demo: $(WEB) ## Serve with sample traffic of all vendors, and keep a slow stream going
	$(CARGO) build --release
	@$(BIN) serve --log warn & hub=$$!; trap 'kill $$hub; wait $$hub' EXIT; \
	until node -e "fetch('$(HUB)/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"; do \
		kill -0 $$hub || exit 1; sleep 0.2; \
	done; \
	$(BIN) simulate --hub $(HUB) --seed random --count 3000 --spread 24h && \
	printf '\nOpen %s/graphiql: the prepared tabs show the board, one inspection, stalled ones, the past, and live changes.\n' $(HUB) && \
	printf 'A slow stream of deliveries continues until Ctrl-C.\n\n' && \
	$(BIN) simulate --hub $(HUB) --seed random --forever --rate 5

bench: $(WEB) ## Measure ingest, real rates, writer, as-of, rebuild, growth, start, fan-out, queries, abuse and access; each fails below its minimum
	$(CARGO) bench --bench ingest --bench rate --bench write --bench as_of --bench rebuild --bench growth --bench start \
		--bench fanout --bench query --bench abuse --bench access
	TEST_POSTGRES_FSYNC=on tests/postgres.sh $(CARGO) bench --bench ingest --bench write --bench as_of --bench rebuild --bench growth \
		--bench positions --bench query

web: $(WEB) ## Build the playground

schema: ## Write schema.graphql
	$(CARGO) run --quiet -- schema > schema.graphql

# The playground is built again only when its sources or its lock file changed.
$(WEB): $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print) | tools
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build && touch dist/index.html

$(BROWSER) $(SCHEMA) $(OIDC) $(CLIENTS) $(EXAMPLES): %/node_modules/.package-lock.json: %/package-lock.json | tools
	cd $* && npm ci --ignore-scripts --no-audit --no-fund

# Packages of the Python examples in docs/clients, and of tests/fuzz.
$(PYTHON): docs/clients/python/requirements.txt tests/fuzz/requirements.txt | python
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(^:%=--requirement %)
	touch $@

# Built without optimization: about two minutes on two cores, and they run for seconds.
$(DENY) $(MACHETE): $(TARGET)/tools/%: | tools
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --locked --debug --root $(TARGET)/tools/$(*:/bin/$(@F)=) \
		$(@F)@$(patsubst $(@F)-%,%,$(*:/bin/$(@F)=))

tools:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer with rustup, https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: apt-get install -y gcc libc6-dev"; exit 1; }
	@command -v npm >/dev/null || { echo "npm is missing: apt-get install -y nodejs npm (Node 20.19 or newer)"; exit 1; }

# The browser of the playground's test.
browser:
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "chromium is missing: sudo apt-get install -y chromium"; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

python:
	@python3 -c "import ensurepip, venv" 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "Python is missing: sudo apt-get install -y python3-venv"; exit 1; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; }
