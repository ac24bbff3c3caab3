#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Guests inside a guest, with AMD-V: see nested.bash.
vendor=amd
. "$(dirname "$0")/nested.bash"
