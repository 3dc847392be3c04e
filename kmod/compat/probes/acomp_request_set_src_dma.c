// SPDX-License-Identifier: GPL-2.0-only
/* v6.15: requests may have addresses instead of lists */
#include <crypto/acompress.h>

void probe(struct acomp_req *req, const void *src, void *dst, unsigned int size);
void probe(struct acomp_req *req, const void *src, void *dst, unsigned int size)
{
	acomp_request_set_src_dma(req, src, size);
	acomp_request_set_dst_dma(req, dst, size);
}
