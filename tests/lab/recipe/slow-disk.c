/*
 * A disk that takes 5 ms longer for each sync, for every program of a machine that names this library in
 * /etc/ld.so.preload. Static programs, and those that ask the kernel without the C library, do not meet it.
 *
 * The system calls are made directly: to look the C library's functions up could fail early in the life of a program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Waits its 5 ms to the end, whatever signals come; no call that a thread may be cancelled in. */
static void wait_for_disk(void)
{
    struct timespec left = {.tv_sec = 0, .tv_nsec = 5000000};
    int before = errno;
    while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) == -1 && errno == EINTR) {
    }
    errno = before;
}

static int waited(long result)
{
    if (result == 0)
        wait_for_disk();
    return (int)result;
}

int fsync(int file)
{
    return waited(syscall(SYS_fsync, file));
}

int fdatasync(int file)
{
    return waited(syscall(SYS_fdatasync, file));
}

int syncfs(int file)
{
    return waited(syscall(SYS_syncfs, file));
}

void sync(void)
{
    syscall(SYS_sync);
    wait_for_disk();
}

int msync(void *start, size_t length, int flags)
{
    long result = syscall(SYS_msync, start, length, flags);
    return flags & MS_SYNC ? waited(result) : (int)result;
}

/* One that only starts a write, as dpkg's does before its fsync, or only waits for one that began long ago, is no sync. */
int sync_file_range(int file, off64_t offset, off64_t length, unsigned int flags)
{
    unsigned int whole = SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    long result = syscall(SYS_sync_file_range, file, offset, length, flags);
    return (flags & whole) == whole ? waited(result) : (int)result;
}
