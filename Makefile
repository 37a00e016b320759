CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help lint test bench noise endurance tick soak rules demo docs

help: ## Lists the targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

lint: ## Checks format, lints, documentation and the shape of the tree.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	$(CARGO) test --test tidy

# The runner comes last, so that its summary is what stays on the screen.
test: ## Runs every test; installs the real components that they need, where it can.
	./scripts/test-packages.sh
	$(CARGO) test --workspace --doc
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		echo "$(CARGO) nextest run --workspace"; \
		$(CARGO) nextest run --workspace; \
	else \
		echo "$(CARGO) test --workspace --tests --no-fail-fast"; \
		$(CARGO) test --workspace --tests --no-fail-fast; \
	fi

bench: ## Runs the quick benchmarks: detection, each detector, and a poll beside another client's types.
	$(CARGO) bench --bench detect --bench detectors --bench poll

noise: ## A day of noise over 10,000 series: openings, and lone faults found; some minutes.
	$(CARGO) bench --bench noise

endurance: ## Two virtual days at 10,000 series that come and go; some minutes.
	$(CARGO) bench --bench endurance

tick: ## The whole agent at 100,000 series: how long its API takes while it judges; 10 minutes.
	$(CARGO) bench --bench lost
	$(CARGO) bench --bench tick

soak: ## The demo at speed 60 for 20 real minutes, its memory sampled.
	$(CARGO) build --release
	benches/soak.sh

rules: ## The agent's and a real Prometheus' CPU beside z-score rules, at 10,000 series; 11 minutes.
	$(CARGO) build --release
	benches/rules.sh

demo: ## Starts the demo; ARGS="--speed 60 --cycles 2" goes to it.
	$(CARGO) run --release -- demo $(ARGS)

# Through a temporary file, so that a failure leaves the committed page alone.
docs: ## Writes the generated reference pages anew.
	@mkdir -p docs
	$(CARGO) run --quiet -- reference configuration > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(CARGO) run --quiet -- reference metrics > docs/metrics.md.new
	mv docs/metrics.md.new docs/metrics.md
	$(CARGO) run --quiet -- reference openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json
