// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fences at the target.
 */
#include "cutoff.h"

/* The same for each disk that is guarded, also after one has failed. Returns 0, or -1 with @why. */
static int each_disk(struct target *t, enum fencer_task task, struct failure *why)
{
	uint32_t salt = fence_salt(t->id);
	int result = 0;

	for (unsigned int i = 0; i < t->guard.theirs.disks; i++) {
		const struct disk *disk = guard_disk(&t->guard, &t->in.disks, i);

		if (disk && fencer_do(&t->fencer, task, disk->path, JOURNAL_TARGET, salt, why))
			result = -1;
	}
	return result;
}

int cutoff_agree(struct target *t)
{
	bool theirs = t->hello.flags & WIRE_HELLO_FENCE;

	if (theirs == t->options->fence)
		return 0;
	return fail(&t->why, "the %s was started with --fence pr, and the %s was not",
		    theirs ? "source" : "target", theirs ? "target" : "source");
}

int cutoff_ready(struct target *t)
{
	return t->options->fence ? each_disk(t, FENCER_READY, &t->why) : 0;
}

int cutoff_source(struct target *t, const char *reason)
{
	struct failure why = { 0 };

	if (!t->options->fence)
		return fail(&t->why, "%s", reason);
	log_warn("%s, and %u ranges are guarded: cutting the source off from its disks, which takes as long as the storage needs to end, or abort, what it has",
		 reason, t->guard.closed);
	if (each_disk(t, FENCER_CUT, &why) || guard_open(&t->guard, &t->in.disks, &why))
		return fail(&t->why, "%s, and the source could not be cut off: %s", reason,
			    why.text);
	t->cut = true;
	log_warn("the source's host cannot write to the VM's disks any more, so nothing is guarded; once it has been started anew, let it: kvmferry disk --disk NAME --release");
	return 0;
}

void cutoff_end(struct target *t)
{
	struct failure why = { 0 };

	if (t->options->fence && !t->cut && each_disk(t, FENCER_END, &why))
		log_warn("a reservation is left, and the VM cannot be moved on with it: %s; kvmferry disk tells what to do",
			 why.text);
}

void cutoff_leave(struct target *t)
{
	struct failure why = { 0 };

	if (t->options->fence && each_disk(t, FENCER_LEAVE, &why))
		log_warn("a key of this host stays registered: %s; kvmferry disk tells what to do",
			 why.text);
}
