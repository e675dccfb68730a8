# Everything one does with this repository. `make demo` and `make test` set up what they need by themselves.

GO         ?= go
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@latest
FUZZTIME   ?= 30s

# Debian's packages that the tests talk to: an XMPP client library, and expat through Python.
PACKAGES    = python3 python3-slixmpp

.PHONY: all build demo test check deps lint bench fuzz clean

all: build

build:
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/rosterd ./cmd/server

demo: build
	./bin/rosterd demo

# The whole of what must hold. Ten minutes at the most on two cores.
test: deps lint
	$(GO) test -race -timeout 10m ./...

check: test

# Installs what is missing and says so. Nothing is skipped for want of a package: it fails instead.
deps:
	@missing=; for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		echo "Installing Debian packages for the tests:$$missing"; \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

# Known vulnerabilities in what we depend on; needs the vulnerability database.
vuln:
	$(GO) run $(GOVULNCHECK) ./...

# CPU time beside the throwaway prototype, in one run. See bench/README.md.
bench:
	$(GO) run ./bench

# Every fuzz target for FUZZTIME each.
fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

clean:
	rm -rf bin
