#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The ends of everything, oftener, for make check-stress.
exec "$KVMFERRY_BUILD/tracking/lifetimes" 50
