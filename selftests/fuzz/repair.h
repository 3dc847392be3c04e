/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making right what a fuzzer would never guess: checksums and sequence numbers.
 */
#ifndef KVMFERRY_FUZZ_REPAIR_H
#define KVMFERRY_FUZZ_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/**
 * repair_records - make sequence, padding and checksum of all records right
 * @bytes:	of a stream, from the beginning of a record on, as far as they are records
 * @sequence:	of the first one
 *
 * Returns the sequence of the record after the last one.
 */
uint32_t repair_records(uint8_t *bytes, size_t len, uint32_t sequence);

#endif /* KVMFERRY_FUZZ_REPAIR_H */
