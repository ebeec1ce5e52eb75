# The promises of this project, each one command. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
# One build serves tests, demo in CI and images.
PROFILE ?= ci

.PHONY: help setup setup-lint demo test lint bench bench-sbi bench-classifier bench-upf bench-core bench-net check-upf load stress fuzz mutations fmt image test-containers

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## install what the distribution has and this machine lacks
	@scripts/setup build run

demo: ## a UE pings through a complete core, from nothing; SBI=shm or tcp: how the SBI travels; UPF_IO=kernel or dpdk
	@scripts/setup build run $(if $(filter dpdk,$(UPF_IO)),dpdk)
	@scripts/demo release $(or $(SBI),shm) $(or $(UPF_IO),kernel)

test: ## everything that decides whether main is good
	@scripts/setup build run oracle dpdk
	@scripts/test

lint: ## rustfmt, clippy, cargo deny, the style gates
	@scripts/setup build lint dpdk
	@scripts/lint

bench: ## measurements: always two arms in turn in one run
	@scripts/setup build run
	@scripts/bench

bench-sbi: ## the SBI through shared memory against its goals, in under 10 minutes
	@scripts/setup build run
	@scripts/bench-sbi

bench-classifier: ## classifiers of packets against their goals; FILTERS=path adds a ClassBench file
	@scripts/setup build
	@scripts/bench-classifier $(if $(FILTERS),--filters "$(FILTERS)")

bench-upf: ## the user plane against its goals: in process, between processes, between namespaces
	@scripts/setup build dpdk
	@scripts/bench-upf

bench-core: ## what the core does for UEs (registration, session, paging, handover, rate) and what one costs; some 12 minutes
	@scripts/setup build run
	@scripts/bench-core

bench-net: ## networks of 100 and 1,000 endpoints against loops that make one thing after the other; some 5 minutes
	@scripts/setup build
	@scripts/bench-net

check-upf: ## rates, buffering and usage of the UPF with real packets, on both packet backends; some 15 minutes
	@scripts/setup build run dpdk iperf
	@scripts/check-upf

load: ## 1,000 UEs live for ten minutes between four gNBs against every process: failures, latencies, memory
	@scripts/setup build run
	@scripts/load

image: ## the container image, from scratch: target/image/tern.tar
	@scripts/setup build image
	@scripts/image release

test-containers: ## a core in containers under podman, by the compose file and by the manifests of Kubernetes
	@scripts/setup build image containers
	@scripts/image release
	@scripts/test-containers

mutations: ## each patch of tests/mutations must make its named test fail
	@scripts/setup build run
	@scripts/mutations all

stress: ## the long forms of the tests
	@scripts/setup build run oracle dpdk
	@scripts/stress

fuzz: ## the fuzz targets of N4 and N3, SECONDS=20 each; TARGETS="upf_n4 …" names some
	@scripts/setup build
	@scripts/fuzz $(or $(SECONDS),20) $(TARGETS)

fmt: ## format the code
	@$(CARGO) fmt --all
