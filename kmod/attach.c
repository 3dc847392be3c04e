// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is the VM, and may the caller do this to it?
 *
 * The kernel keeps its ptrace check to itself: no module can call it. But opening
 * /proc/PID/mem makes that very check, Yama and the other security modules
 * included, and the open file then stands for the address space. So the caller
 * hands in such a file, and we look whether it is one: a file of procfs that can be
 * written to, and whose private data is the address space of process @pid. The
 * pointer is only compared, never followed.
 */

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

#include "attach.h"

/*
 * The files of procfs with an address space behind them are mem, environ and
 * auxv; of these only mem, the one with the stronger check, has a write method.
 */
static int check_mem_fd(int mem_fd, const struct mm_struct *mm)
{
	struct file *file = fget(mem_fd);
	int err = 0;

	if (!file)
		return -EBADF;
	if (file_inode(file)->i_sb->s_magic != PROC_SUPER_MAGIC ||
	    !(file->f_mode & FMODE_CAN_READ) ||
	    !(file->f_mode & FMODE_CAN_WRITE))
		err = -EPERM;
	else if (file->private_data != mm)
		err = -ESRCH;
	fput(file);
	return err;
}

/**
 * ferry_attach_mm() - Find a VM's address space
 * @pid: process id in the caller's pid namespace
 * @mem_fd: the caller's file descriptor of /proc/PID/mem, open for both
 *	    reading and writing
 *
 * Context: Process context. May sleep.
 * Return: the address space with a user reference, to be dropped with mmput(),
 *	   or an error pointer: -ESRCH no such process, or not the one of
 *	   @mem_fd; -EPERM @mem_fd proves no right; -EBADF.
 */
struct mm_struct *ferry_attach_mm(pid_t pid, int mem_fd)
{
	struct task_struct *task;
	struct mm_struct *mm;
	struct pid *id;
	int err;

	id = find_get_pid(pid);
	task = get_pid_task(id, PIDTYPE_TGID);
	put_pid(id);
	if (!task)
		return ERR_PTR(-ESRCH);

	mm = get_task_mm(task);
	put_task_struct(task);
	if (!mm)
		return ERR_PTR(-ESRCH);

	err = check_mem_fd(mem_fd, mm);
	if (err) {
		mmput(mm);
		return ERR_PTR(err);
	}
	return mm;
}
