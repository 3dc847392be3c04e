/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Older kernels, made to look like the newest one. The rest of the module uses
 * today's names and never asks for a version; see Kbuild.probes.
 */
#ifndef FERRY_COMPAT_H
#define FERRY_COMPAT_H

#include <crypto/acompress.h>
#include <linux/bio.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/scatterlist.h>
#include <linux/shmem_fs.h>
#include <linux/tracepoint-defs.h>

/* Exported by kvm.ko; its header is KVM's own. Taken with symbol_get() only. */
extern struct tracepoint __tracepoint_kvm_page_fault;

#ifndef FERRY_HAVE_shmem_read_folio_gfp
static inline struct folio *shmem_read_folio_gfp(struct address_space *mapping,
						 pgoff_t index, gfp_t gfp)
{
	struct page *page = shmem_read_mapping_page_gfp(mapping, index, gfp);

	return IS_ERR(page) ? ERR_CAST(page) : page_folio(page);
}
#endif

#ifndef FERRY_HAVE_vm_flags_clear
static inline void vm_flags_clear(struct vm_area_struct *vma,
				  unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* How long the data is to live: no field for it between v5.18 and v6.9. */
static inline void ferry_copy_write_hint(struct bio *to, const struct bio *from)
{
#ifdef FERRY_HAVE_bi_write_hint
	to->bi_write_hint = from->bi_write_hint;
#endif
}

/*
 * From one piece of memory to another. Where the crypto API takes addresses, it must have them:
 * since v6.15 it walks a list in steps of a page, and then its zstd loses the end of a
 * frame whose last three bytes do not fit into the page that it is at. @lists, for the
 * others, lives as long as @req uses it.
 */
static inline void ferry_acomp_set_memory(struct acomp_req *req,
					  const void *src, unsigned int slen,
					  void *dst, unsigned int dlen,
					  struct scatterlist lists[2])
{
#ifdef FERRY_HAVE_acomp_request_set_src_dma
	acomp_request_set_src_dma(req, src, slen);
	acomp_request_set_dst_dma(req, dst, dlen);
#else
	sg_init_one(&lists[0], src, slen);
	sg_init_one(&lists[1], dst, dlen);
	acomp_request_set_params(req, &lists[0], &lists[1], slen, dlen);
#endif
}

/* The parameters of a target's prepare_ioctl. It may answer for itself today; ours never does. */
#ifdef FERRY_HAVE_dm_prepare_ioctl_forward
#define FERRY_PREPARE_IOCTL_ARGS	struct dm_target *ti, struct block_device **bdev, \
					unsigned int cmd, unsigned long arg, bool *forward
#else
#define FERRY_PREPARE_IOCTL_ARGS	struct dm_target *ti, struct block_device **bdev
#endif

/*
 * filemap_get_folio() and filemap_lock_folio() say "none" with NULL up to v6.3
 * and with an error pointer since 66dabbb65d67 ("mm: return an ERR_PTR from
 * __filemap_get_folio"). A probe cannot tell a return value: accept both.
 */
static inline bool ferry_no_folio(const struct folio *folio)
{
	return IS_ERR_OR_NULL(folio);
}

#endif /* FERRY_COMPAT_H */
