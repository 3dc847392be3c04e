/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why something failed: one line of text, filled in where the failure is known.
 */
#ifndef KVMFERRY_WHY_H
#define KVMFERRY_WHY_H

#define WHY_SIZE	512	/* bytes, with the NUL; the same as WIRE_TEXT_SIZE */

/**
 * struct why - the reason of a failure
 * @text:	one line without a newline: what happened, why, and where there is
 *		something to be done, what to do
 */
struct why {
	char text[WHY_SIZE];
};

/**
 * why_set - note the reason of a failure
 * @why:	where to, or NULL if nobody wants to know
 * @format:	as for printf; a text that is too long is cut
 *
 * Returns -1, so that "return why_set(why, ...)" is the whole failure path.
 */
int why_set(struct why *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* KVMFERRY_WHY_H */
