#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kill loop at length, for make check-stress.
exec "$(dirname "$0")/kill-loop.sh" 50
