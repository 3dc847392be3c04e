/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `kvmferry top`: the migrations of this host while they run, as their agents publish
 * them (state.h). A snapshot is taken first and then written in one of three ways.
 */
#ifndef KVMFERRY_TOP_H
#define KVMFERRY_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "log.h"
#include "state.h"

/**
 * struct top_options - what was asked for
 * @dir:	where the agents publish
 * @json:	for programs
 * @prometheus:	file to write instead, "-": standard output; or NULL
 */
struct top_options {
	const char *dir;
	bool json;
	const char *prometheus;
};

enum exit_status top_run(const struct top_options *options);

/**
 * top_look - take a snapshot
 *
 * Returns an array of what was published, each object with "alive" in addition; or NULL
 * with @why.
 */
json_t *top_look(const char *dir, struct failure *why);

/* A snapshot as a table, as lines of JSON, and in Prometheus's text format. */
void top_table(FILE *out, const json_t *all);
void top_json(FILE *out, const json_t *all);
void top_metrics(FILE *out, const json_t *all);

#endif /* KVMFERRY_TOP_H */
