// SPDX-License-Identifier: GPL-2.0-only
/* v6.9 ("block, fs: Restore the per-bio/request data lifetime fields") */
#include <linux/bio.h>

void probe(struct bio *to, const struct bio *from);
void probe(struct bio *to, const struct bio *from)
{
	to->bi_write_hint = from->bi_write_hint;
}
