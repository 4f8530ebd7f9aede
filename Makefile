# make          build the program
# make test     install what the tests need and run all of them
# make web      build the page's bundle again after changing TypeScript
# make soak     every fault there is, for longer (KILLS=2000); root, for some of them
# make bench    measure this machine

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
CHROMIUM := /usr/bin/chromium
KILLS := 2000
NPM := npm --prefix web --no-fund --no-audit

.PHONY: build test tools lint test-go test-web test-sharedb test-browser web soak bench

build:
	go build -trimpath -o quire ./cmd/quire

test: tools lint test-go test-web test-sharedb test-browser
	@echo "all checks passed"

tools:
	@if [ ! -x $(CHROMIUM) ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; \
	  else \
	    echo "SKIPPED later: $(CHROMIUM) is missing and only root can install it, so the browser tests cannot run"; \
	  fi; \
	fi
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
