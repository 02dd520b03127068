# The index of every command. "make" alone says what there is.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: help lab test race fuzz bench lint build clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: ## see it work: two companies that write to each other, and impostors (MTA=sendmail: at a Sendmail; KEEP=1 leaves it running)
	@sh internal/testkit/$(if $(filter sendmail,$(MTA)),sendmail.sh,setup.sh lab)
	@$(GO) run ./internal/testkit/lab $(if $(MTA),-mta $(MTA))

test: ## install what is missing and run everything: lint, race, the biggest case, a smoke of every fuzz target
	@sh internal/testkit/setup.sh test
	@sh internal/testkit/sendmail.sh
	$(MAKE) lint
	$(MAKE) race
	$(GO) test -run 'Million' ./internal/config
	FUZZTIME=5s sh .ci/fuzz

race: ## all tests with the race detector
	$(GO) test -race ./...

fuzz: ## every fuzz target for FUZZTIME (2m)
	FUZZTIME=$(or $(FUZZTIME),2m) sh .ci/fuzz

bench: ## ratios: the milter beside libmilter in C, the policy and TLS policy doors beside a raw echo, the million list beside sort -u, a CRL of 100 MB beside crypto/x509, a certificate without a chain the first time beside the next
	@sh internal/testkit/setup.sh test
	$(GO) test -run '^$$' -bench 'Milter' -benchtime 5x -timeout 30m ./internal/testkit/milterload
	$(GO) test -run '^$$' -bench 'Door' -benchtime 10x ./internal/gate
	$(GO) test -run '^$$' -bench 'TLSMapDoor' -benchtime 10x ./internal/outgoing
	$(GO) test -run '^$$' -bench 'Million' -benchtime 5x ./internal/config
	$(GO) test -run '^$$' -bench 'Hopeless' -benchtime 5x ./internal/trust
	$(GO) test -run '^$$' -bench 'Question' -benchtime 5x ./internal/trust/crl
	$(GO) test -run '^$$' -bench 'Ask' -benchtime 5x ./internal/trust/revocation

lint: ## gofmt, vet, staticcheck, and who may import whom
	@test -z "$$(gofmt -l cmd internal milter policy)" || { gofmt -d cmd internal milter policy; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	sh .ci/imports

build: ## bin/domain-secured
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/domain-secured ./cmd/domain-secured

clean: ## remove what build made
	rm -rf bin
