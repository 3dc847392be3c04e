// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Traces: growing, reading and writing them. The format is in README.md.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MAX_BLOCKS	256

/**
 * sim_event() - Add an event to a trace
 * @trace: the trace, which grows
 * @what: kind of event
 * @at: page or chunk, counted over all blocks
 */
void sim_event(struct sim_trace *trace, enum sim_what what, uint32_t at)
{
	uint32_t chunk = what == SIM_WRITE ? at >> FERRY_CHUNK_SHIFT : at;

	if (!(trace->count & (trace->count - 1))) {
		size_t room = trace->count ? 2 * trace->count : 1;

		trace->events = realloc(trace->events,
					room * sizeof(*trace->events));
		if (!trace->events)
			err(1, "%s", trace->name);
	}
	trace->events[trace->count++] = (struct sim_event){ what, at };
	if (what != SIM_PASS && chunk >= trace->chunks)
		trace->chunks = chunk + 1;
}

void sim_free(struct sim_trace *trace)
{
	free(trace->events);
}

/* How many chunks each block reaches; the blocks then lie one behind the other. */
static void measure_blocks(FILE *file, uint32_t *base)
{
	unsigned long block, at;
	char line[80], what;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%c %lu %lu", &what, &block, &at) != 3 ||
		    block >= MAX_BLOCKS)
			continue;
		if (what == 'w')
			at >>= FERRY_CHUNK_SHIFT;
		if (at >= base[block + 1])
			base[block + 1] = at + 1;
	}
	for (block = 0; block < MAX_BLOCKS; block++)
		base[block + 1] += base[block];
	rewind(file);
}

static void read_line(struct sim_trace *trace, const char *line,
		      const uint32_t *base, const char *path, unsigned int number)
{
	unsigned int block;
	unsigned long at;

	if (line[0] == '#' || line[0] == '\n')
		return;
	if (line[0] == 'p')
		sim_event(trace, SIM_PASS, 0);
	else if (sscanf(line, "w %u %lu", &block, &at) == 2 && block < MAX_BLOCKS)
		sim_event(trace, SIM_WRITE,
			  (base[block] << FERRY_CHUNK_SHIFT) + at);
	else if (sscanf(line, "t %u %lu", &block, &at) == 2 && block < MAX_BLOCKS)
		sim_event(trace, SIM_TURN, base[block] + at);
	else
		errx(1, "%s:%u: not an event: %s", path, number, line);
}

/**
 * sim_read() - Read a recorded trace
 * @trace: out: the trace, named after the file
 * @path: the file
 */
void sim_read(struct sim_trace *trace, const char *path)
{
	const char *slash = strrchr(path, '/');
	uint32_t base[MAX_BLOCKS + 1] = { 0 };
	FILE *file = fopen(path, "r");
	unsigned int number = 0;
	char line[80];

	if (!file)
		err(1, "%s", path);
	*trace = (struct sim_trace){ .name = slash ? slash + 1 : path };
	measure_blocks(file, base);
	while (fgets(line, sizeof(line), file))
		read_line(trace, line, base, path, ++number);
	fclose(file);
	if (!trace->chunks)
		errx(1, "%s: no events", path);
}

/**
 * sim_write() - Write a trace in the format that is read
 * @trace: the trace; all of it becomes block 0
 * @to: where to
 */
void sim_write(const struct sim_trace *trace, FILE *to)
{
	fprintf(to, "# %s\n", trace->name);
	for (size_t i = 0; i < trace->count; i++) {
		const struct sim_event *event = &trace->events[i];

		if (event->what == SIM_PASS)
			fprintf(to, "p\n");
		else
			fprintf(to, "%c 0 %u\n",
				event->what == SIM_WRITE ? 'w' : 't', event->at);
	}
}
