#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A thousand rounds of kill -9 of commands and workers.
cd "$(dirname "$0")/../.." && exec bash tests/system/vms.sh build/droste build/tests/cli_guest.elf 1000
