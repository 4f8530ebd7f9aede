# make          build the program
# make test     install what the tests need and run all of them
# make web      build the page's bundle again after changing TypeScript
# make soak     every fault there is, for longer (KILLS=2000); root, for some of them
# make bench    measure this machine
# make licences, vulncheck, sbom, reproducible    what the program is made of (see CONTRIBUTING.md)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PEBBLE := github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
CHROMIUM := /usr/bin/chromium
KILLS := 2000
NPM := npm --prefix web --no-fund --no-audit

.PHONY: build test tools lint test-go test-web test-sharedb test-browser web soak bench licences vulncheck sbom reproducible

build:
	CGO_ENABLED=0 go build -trimpath -o quire ./cmd/quire

test: tools lint test-go test-web test-sharedb test-browser
	@echo "all checks passed"

# Debian starts services that it installs; the tests run nginx and Caddy themselves.
tools:
	@missing=""; \
	[ -x $(CHROMIUM) ] || missing="$$missing chromium"; \
	[ -x /usr/sbin/nginx ] || missing="$$missing nginx"; \
	[ -x /usr/bin/caddy ] || missing="$$missing caddy"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  ours=""; [ -e /usr/sbin/policy-rc.d ] || { ours=1; printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; code=$$?; \
	  [ -z "$$ours" ] || rm -f /usr/sbin/policy-rc.d; \
	  [ $$code = 0 ] || exit $$code; \
	else \
	  echo "SKIPPED later:$$missing is missing and only root can install it, so the tests that drive it cannot run"; \
	fi
	@[ -x .tools/pebble ] || GOBIN=$(CURDIR)/.tools go install $(PEBBLE) || { \
	  echo "SKIPPED later: pebble, an ACME authority for tests, cannot be built, so certificates cannot be obtained from it"; [ "$$CI" != true ]; }
	$(NPM) ci

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@! git grep -lI '"resolved": "http' -- '*package-lock.json' || { echo "the lock file holds download addresses"; exit 1; }

test-go:
	@if [ -z "$$QUIRE_TRACES" ]; then echo "SKIPPED: replaying recorded editing sessions, because QUIRE_TRACES names no folder with them (see CONTRIBUTING.md)"; \
	else echo "replaying the recorded editing sessions in $$QUIRE_TRACES"; fi
	go test -race -timeout 8m ./...
	go test -timeout 4m ./ot/... # all cases; with the race detector there are fewer

test-web:
	$(NPM) run check
	$(NPM) test
	$(NPM) run test:bundle

test-sharedb:
	$(NPM) run test:sharedb

test-browser:
	@if [ -x $(CHROMIUM) ]; then $(NPM) run test:browser; \
	elif [ "$$CI" = true ]; then echo "$(CHROMIUM) is missing: the browser tests cannot run"; exit 1; \
	else echo "SKIPPED: the browser tests, because $(CHROMIUM) is missing"; fi

web:
	$(NPM) ci
	$(NPM) run build

soak: build
	./quire soak --kills $(KILLS)
	go test -count=1 -timeout 60m -run TestSimulation ./web/quirev1 -sim.runs 50000

bench:
	go build -o quire ./cmd/quire
	for kind in "hot --writers 50" "hot --writers 10" "hot --writers 2" fanout many idle catchup open; do ./quire bench $$kind || exit 1; done

licences:
	go run ./cmd/supply licences

# Needs the network, for the database of vulnerabilities.
vulncheck:
	go run $(GOVULNCHECK) ./...

sbom:
	@go run ./cmd/supply sbom

# Builds the newest commit twice, in folders of different names and with nothing compiled before: the same bytes.
reproducible:
	@set -e; t=$$(mktemp -d); trap 'rm -rf "$$t"' EXIT; \
	for n in one another/deeper; do \
	  git clone -q . "$$t/$$n"; \
	  (cd "$$t/$$n" && GOCACHE="$$t/cache" CGO_ENABLED=0 go build -trimpath -o quire ./cmd/quire && rm -rf "$$t/cache"); \
	done; \
	cmp "$$t/one/quire" "$$t/another/deeper/quire"; \
	sha256sum <"$$t/one/quire" | cut -d' ' -f1
