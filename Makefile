# Everything one does with this repository. `make demo` and `make test` set up what they need by themselves.

GO         ?= go
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@latest
FUZZTIME   ?= 30s

# Debian's packages that the tests talk to: XMPP clients, a browser, and expat through Python; Node.js if there is none.
# Compilers for plugins in WebAssembly.
# Prosody's libraries, which scripts are compared with, need Lua and what they are linked to.
PACKAGES    = curl openssl dovecot-core slapd ldap-utils lua-ldap prosody-modules python3 python3-slixmpp chromium fonts-dejavu-core go-sendxmpp jabber-muc postgresql mariadb-server ejabberd prosody lua-dbi-sqlite3 lua-dbi-postgresql profanity tmux \
	lua5.4 lua-expat lua-filesystem lua-bitop lua-cjson clang lld wasi-libc libclang-rt-dev-wasm32 rustc libstd-rust-dev-wasm32 wabt $(shell apt-cache depends prosody 2>/dev/null | sed -n 's/.*Depends: \(libicu[0-9]*\)$$/\1/p') \
	$(shell command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm)

.PHONY: all build demo plugins test test-clients check deps lint bench bench-compare fuzz deb deb-test crash clean

all: build

build:
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/rosterd ./cmd/server

demo: build
	./bin/rosterd demo

# The whole of what must hold. Some sixteen minutes on two cores.
test: deps lint
	$(GO) test -race -timeout 20m ./...
	@$(MAKE) --no-print-directory test-clients

# Clients of other people, a browser among them, against a server that runs. What they show is kept in .cache/clients.
# And what is recorded of Lua and of Prosody's libraries, against both; what is made of WebAssembly in text form, again.
test-clients: deps plugins clients/node_modules/.package-lock.json .cache/prosody/usr/lib/prosody .cache/prosody-modules/usr/lib/prosody
	$(GO) test -tags clients -count=1 -timeout 15m ./clients ./bench ./directory ./store ./passwords/dovecot ./plugins/lua/... ./plugins/sdk/... ./plugins/wasm/... ./examples/plugins
	$(GO) test -tags clients -count=1 -timeout 2m -run InProsody ./config
	$(GO) test -tags clients -count=1 -timeout 10m -run 'Fixtures|FromNothing|Toolchains|ModuleAttacks|Dovecot|LDAP|Postgres' ./cmd/server

# Debian's packages, unpacked and not installed: nothing of it is ever started. And modules of Prosody's community.
.cache/%/usr/lib/prosody:
	@mkdir -p .cache/$* && cd .cache/$* && rm -f *.deb && apt-get -o APT::Sandbox::User=root download -qq $* && dpkg-deb -x $*_*.deb . && rm -f *.deb

# npm's packages are pinned by package-lock.json. None of them needs to run anything to be installed.
clients/node_modules/.package-lock.json: clients/package.json clients/package-lock.json
	cd clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The examples in WebAssembly, each from examples/plugins/NAME. The language is told by the source file.
MODULES = $(sort $(foreach f,$(wildcard $(foreach e,*.c *.rs *.ts main.go,examples/plugins/*/$(e))),\
	.cache/plugins/$(notdir $(patsubst %/,%,$(dir $(f)))).wasm))
plugins: $(MODULES)

# Where rustup is installed, the rustc in front may lack the target.
RUSTC ?= /usr/bin/rustc
ASC    = plugins/sdk/assemblyscript/node_modules

.SECONDEXPANSION:
.DELETE_ON_ERROR:

# In two steps: a clang that both compiles with -O and links has binaryen, if it is there, optimize what that does not know.
.cache/plugins/%.wasm: examples/plugins/$$*/$$*.c plugins/sdk/c/rosterd.h | .cache/plugins
	clang --target=wasm32 -ffreestanding -mbulk-memory -O2 -Wall -Wextra -Iplugins/sdk/c -c $< -o $(@:.wasm=.o)
	wasm-ld --no-entry --strip-debug -z stack-size=65536 $(@:.wasm=.o) -o $@
	@rm -f $(@:.wasm=.o)

# Without a stack that is as small an instance takes a mebibyte more.
.cache/plugins/%.wasm: examples/plugins/$$*/$$*.rs plugins/sdk/rust/rosterd.rs | .cache/plugins
	$(RUSTC) --edition 2021 --crate-type=cdylib --target wasm32-unknown-unknown -C opt-level=3 -C target-feature=+bulk-memory \
		-C panic=abort -C lto -C strip=debuginfo -C link-arg=-zstack-size=65536 $< -o $@

.cache/plugins/%.wasm: examples/plugins/$$*/$$*.ts plugins/sdk/assemblyscript/rosterd.ts $(ASC)/.package-lock.json | .cache/plugins
	node $(ASC)/assemblyscript/bin/asc.js $< -O3 --runtime minimal --noAssert --use abort= -o $@

# Extism's kit is an npm package of the example, and looked for from where the compiler is started.
EXTISM = examples/plugins/extism_as
.cache/plugins/extism_as.wasm: $(wildcard $(EXTISM)/*.ts) $(EXTISM)/node_modules/.package-lock.json $(ASC)/.package-lock.json | .cache/plugins
	cd $(EXTISM) && node ../../../$(ASC)/assemblyscript/bin/asc.js extism_as.ts -O3 --runtime incremental --noAssert --use abort= -o ../../../$@

.cache/plugins/%.wasm: examples/plugins/$$*/main.go plugins/sdk/go/rosterd.go | .cache/plugins
	GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags='-s -w' -o $@ ./examples/plugins/$*

.cache/plugins:
	@mkdir -p $@

$(EXTISM)/node_modules/.package-lock.json: $(EXTISM)/package.json $(EXTISM)/package-lock.json
	cd $(EXTISM) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(ASC)/.package-lock.json: plugins/sdk/assemblyscript/package.json plugins/sdk/assemblyscript/package-lock.json
	cd plugins/sdk/assemblyscript && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

check: test

# Installs what is missing and says so. Nothing is skipped for want of a package: it fails instead. No service of theirs
# is started, now or with the machine: tests start their own.
SERVICES    = dovecot-core:dovecot slapd:slapd postgresql:postgresql mariadb-server:mariadb ejabberd:ejabberd prosody:prosody
deps:
	@missing=; for p in $(PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
		echo "Installing Debian packages for the tests:$$missing"; \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi; \
		policy=/usr/sbin/policy-rc.d; \
		if [ -e $$policy ]; then policy=; else printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null && $$sudo chmod 755 $$policy; fi; \
		$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; status=$$?; \
		if [ -n "$$policy" ]; then $$sudo rm $$policy; fi; \
		if [ $$status = 0 ] && command -v systemctl >/dev/null; then for s in $(SERVICES); do case "$$missing " in *" $${s%:*} "*) \
			$$sudo systemctl disable -q $${s#*:} >/dev/null 2>&1 || echo "$${s#*:} will start with the machine: it could not be disabled";; \
		esac; done; fi; exit $$status; \
	fi

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -tags clients ./...
	$(GO) run $(STATICCHECK) -tags clients ./...
	$(GO) mod tidy -diff

# Known vulnerabilities in what we depend on; needs the vulnerability database.
vuln:
	$(GO) run $(GOVULNCHECK) ./...

# CPU time beside the throwaway prototype, in one run; and of plugins in every language. See bench/README.md.
bench: plugins
	$(GO) run ./bench

# Beside Debian's Prosody, in one run, onto docs/PERFORMANCE.md. All of it takes up to 40 minutes; QUICK=1 some minutes,
# and leaves the page alone. ONLY=login plays scenarios whose names that expression matches, and keeps the figures of the others.
BENCH_RUN      = .cache/bench/RUN.json
BENCH_PACKAGES = prosody lua-cjson clang lld wasi-libc libclang-rt-dev-wasm32 rustc libstd-rust-dev-wasm32 $(shell command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm)
bench-compare:
	@$(MAKE) --no-print-directory deps PACKAGES="$(BENCH_PACKAGES)" || { echo "bench-compare needs Debian's $(BENCH_PACKAGES): have them installed, or leave Prosody out: make bench"; exit 1; }
	@$(if $(and $(ONLY),$(if $(findstring plugin,$(ONLY)),,others)),:,$(MAKE) --no-print-directory plugins)
	$(GO) run ./bench -all -servers rosterd,prosody,prototype $(if $(value ONLY),-only '$(value ONLY)') \
		$(if $(QUICK),-scale 0.1 -rounds 1 -json .cache/bench/QUICK.json,-json $(BENCH_RUN) -page docs/PERFORMANCE.md) $(if $(AGAINST),-against $(AGAINST))

# Every fuzz target for FUZZTIME each.
fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

# The Debian package, the same byte for byte from the same commit; GOARCH=arm64 for another machine.
deb:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/deb/rosterd ./cmd/server
	GO=$(GO) packaging/deb.sh bin/deb/rosterd $(VERSION) bin/rosterd.deb

# Runs the package under systemd, in a copy of this machine that is thrown away. As root.
deb-test: deb
	packaging/test.sh bin/rosterd.deb

# How often the server is killed, and what the crash test does: make crash ROUNDS=200 SEED=7
ROUNDS ?= 100
SEED   ?= 0
crash:
	$(GO) test -race -timeout 60m -v -run '^TestCrash$$' ./cmd/server -crash.rounds $(ROUNDS) -crash.seed $(SEED)

clean:
	rm -rf bin
