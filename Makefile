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
	bin/coffer dev --nodes 3 --data-dir coffer-data/cluster

build: ## Build bin/coffer.
	$(GO) build $(FLAGS) -o bin/coffer .

test: lint ## Run every test with the race detector.
	$(GO) test -race -tags $(TAGS) -timeout 14m ./...

lint: ## Check format and vet.
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt these files"; exit 1; }
	$(GO) vet -tags $(TAGS) ./...

bench: build ## Measure: P1, P3, P5, P6, P7, P8, P10, and PostgreSQL when it is installed.
	bin/coffer bench $(BENCH)

golden: ## Rewrite all goldens; read the diff.
	$(GO) test -tags $(TAGS) ./fsm/... ./http/... ./node -run 'Golden|Wire|Codes|API|OpenAPI' -update

soak: build ## Long fault loops on every package; FAULT=T8 picks one, COUNT=20 how often.
	@if [ -n "$(FAULT)" ]; then \
	  SOAK=1 $(GO) test -tags $(TAGS) -timeout 24h ./node/rig -run '^TestFaults$$/^$(FAULT)_|^Test$(FAULT)[A-Z]' -v; \
	else \
	  SOAK=1 $(GO) test -tags $(TAGS) -timeout 12h ./store ./cluster ./node -run 'Kill|PowerLoss|Soak|Storm' -v && \
	  SOAK=1 $(GO) test -tags $(TAGS) -timeout 96h ./node/rig -v; \
	fi

fuzz: ## Fuzz every decoder for FUZZTIME each.
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "== $$package $$target"; \
	    $(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $${FUZZTIME:-30s} $$package || exit 1; \
	  done; \
	done

clean: ## Remove what the targets made, but not the data.
	rm -rf bin
