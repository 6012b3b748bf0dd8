# Targets of Coffer. `make run` and `make test` need nothing but Go.

GO      ?= go
TAGS    := hashicorpmetrics
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FLAGS   := -trimpath -tags $(TAGS) -ldflags "-X main.version=$(VERSION)"

.PHONY: help run cluster build test lint bench golden soak fuzz clean

help: ## Show the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: build ## Build, start one node on 127.0.0.1:4001 and walk the main job once.
	bin/coffer dev --tour --no-access-log

cluster: build ## Build and run three nodes on loopback; Ctrl-C stops all.
	bin/coffer dev --nodes 3 --data-dir coffer-cluster

build: ## Build bin/coffer.
	$(GO) build $(FLAGS) -o bin/coffer .

test: lint ## Run every test with the race detector.
	$(GO) test -race -tags $(TAGS) -timeout 14m ./...

lint: ## Check format and vet.
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt these files"; exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	$(GO) vet -tags $(TAGS),rig ./node ./cluster

bench: build ## Measure: P1, P3, P5, P6, P7, P8, P10, and PostgreSQL when it is installed.
	bin/coffer bench $(BENCH)

golden: ## Rewrite all goldens; read the diff.
	$(GO) test -tags $(TAGS) ./fsm/... ./http/... ./node -run 'Golden|Wire|Codes|API|OpenAPI' -update

# With SOAK a fault runs as often as it is stated, in lanes: clusters side by side,
# each renewed after a few rounds. FAULT=T8 picks one fault, COUNT=20 how often, over
# all lanes, LANES=6 how many lanes instead of the fault's own number, MINUTES=40
# begins no lap later than that (of each fault; a lap takes one to three minutes),
# SEED=1 the first seed. Every fault ends with a line "SOAK ...": counts, violations
# and figures, also when its time was over. Of a lap that failed the files stay.
soak: ## Long fault loops on every package. FAULT=T8 COUNT=20 MINUTES=40 LANES=6 SEED=1: see above.
	@if [ -n "$(FAULT)" ]; then \
	  grep -rqE 'func Test$(FAULT)[A-Z]|"$(FAULT)_' --include=*_test.go store cluster node || { echo "there is no fault $(FAULT)"; exit 2; }; \
	  SOAK=1 $(GO) test -count=1 -tags $(TAGS) -timeout 24h ./store ./cluster ./node ./node/rig -run '^TestFaults$$/^$(FAULT)_|^Test$(FAULT)[A-Z]' -v; \
	else \
	  SOAK=1 $(GO) test -count=1 -tags $(TAGS) -timeout 96h ./store ./cluster ./node ./node/rig -v; \
	fi

fuzz: ## Fuzz every decoder for FUZZTIME each.
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "== $$package $$target"; \
	    $(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $${FUZZTIME:-30s} -fuzzminimizetime 10x $$package || exit 1; \
	  done; \
	done

clean: ## Remove what the targets made, but not the data.
	rm -rf bin
