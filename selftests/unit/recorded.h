/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the human monitor of QEMU 7.2.22 printed, with most lines of devices left out.
 */
#ifndef KVMFERRY_TEST_RECORDED_H
#define KVMFERRY_TEST_RECORDED_H

/*
 * q35 with two NUMA nodes of 64 MiB, of which node 0 has the backend m1 and node 1
 * the backend m0, so that names are in the wrong order.
 */
#define NUMA_RAMBLOCK \
"              Block Name    PSize              Offset               Used              Total\r\n" \
"                      m0    4 KiB  0x0000000000000000 0x0000000004000000 0x0000000004000000\r\n" \
"                      m1    4 KiB  0x0000000004000000 0x0000000004000000 0x0000000004000000\r\n" \
"   0000:00:01.0/vga.vram    4 KiB  0x0000000008080000 0x0000000001000000 0x0000000001000000\r\n" \
"    /rom@etc/acpi/tables    4 KiB  0x0000000009100000 0x0000000000020000 0x0000000000200000\r\n" \
"                 pc.bios    4 KiB  0x0000000008000000 0x0000000000040000 0x0000000000040000\r\n"

#define NUMA_MTREE \
"FlatView #0\r\n" \
" AS \"cpu-smm-1\", root: memory\r\n" \
" AS \"cpu-smm-0\", root: memory\r\n" \
" Root memory region: memory\r\n" \
"  0000000000000000-000000000009ffff (prio 0, ram): m0 owner:{obj path=/objects/not-this-view}\r\n" \
"\r\n" \
"FlatView #2\r\n" \
" AS \"mch\", root: bus master container\r\n" \
" Root memory region: (none)\r\n" \
"  No rendered FlatView\r\n" \
"\r\n" \
"FlatView #4\r\n" \
" AS \"memory\", root: system\r\n" \
" AS \"cpu-memory-0\", root: system\r\n" \
" Root memory region: system\r\n" \
"  0000000000000000-000000000009ffff (prio 0, ram): m1 owner:{obj path=/objects/m1}\r\n" \
"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem owner:{dev path=/machine/unattached/device[29]}\r\n" \
"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom parent:{obj path=/machine/unattached}\r\n" \
"  00000000000e0000-00000000000fffff (prio 0, rom): pc.bios @0000000000020000 parent:{obj path=/machine/unattached}\r\n" \
"  0000000000100000-0000000003ffffff (prio 0, ram): m1 @0000000000100000 owner:{obj path=/objects/m1}\r\n" \
"  0000000004000000-0000000007ffffff (prio 0, ram): m0 owner:{obj path=/objects/m0}\r\n" \
"  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic owner:{dev path=/machine/q35/ioapic}\r\n" \
"\r\n" \
"FlatView #5\r\n" \
" AS \"I/O\", root: io\r\n" \
" Root memory region: io\r\n" \
"  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan owner:{dev path=/machine/unattached/device[4]}\r\n"

/* pc-q35-3.1, whose blocks have long names; a hot-plugged DIMM; an idle backend. */
#define OLD_RAMBLOCK \
"              Block Name    PSize              Offset               Used              Total\r\n" \
"             /objects/d0    4 KiB  0x0000000008000000 0x0000000008000000 0x0000000008000000\r\n" \
"             /objects/m0    4 KiB  0x0000000000000000 0x0000000004000000 0x0000000004000000\r\n" \
"                            4 KiB  0x0000000010000000 0x0000000000400000 0x0000000000400000\r\n" \
"                  pc.rom    4 KiB  0x0000000010440000 0x0000000000020000 0x0000000000020000\r\n"

/* QEMU 8.2 and later add columns; also a page size of two digits. */
#define NEW_RAMBLOCK \
"              Block Name    PSize              Offset               Used              Total                HVA  RO\n" \
"                    ram0   64 KiB  0x0000000000000000 0x0000000010000000 0x0000000010000000 0x00007f2b5be00000  rw\n"

/* With -accel kvm, each range that KVM has is marked. */
#define KVM_MTREE \
"FlatView #1\r\n" \
" AS \"memory\", root: system\r\n" \
" Root memory region: system\r\n" \
"  0000000000000000-00000000000bffff (prio 0, ram): ram0 KVM owner:{obj path=/objects/ram0}\r\n" \
"  0000000000100000-000000007fffffff (prio 0, ram): ram0 @0000000000100000 KVM owner:{obj path=/objects/ram0}\r\n" \
"  0000000100000000-000000017fffffff (prio 0, ram): ram0 @0000000080000000 owner:{obj path=/objects/ram0} KVM\r\n"

#endif /* KVMFERRY_TEST_RECORDED_H */
