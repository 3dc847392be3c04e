// SPDX-License-Identifier: GPL-2.0-only
/* v6.4 d7468609ee0f ("shmem: add shmem_read_folio() and shmem_read_folio_gfp()") */
#include <linux/shmem_fs.h>

struct folio *probe(struct address_space *mapping);
struct folio *probe(struct address_space *mapping)
{
	return shmem_read_folio_gfp(mapping, 0, GFP_KERNEL);
}
