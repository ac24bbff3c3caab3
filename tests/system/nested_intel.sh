#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Guests inside a guest, with VT-x: see nested.bash.
vendor=intel
. "$(dirname "$0")/nested.bash"
