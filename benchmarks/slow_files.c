/* Lets each operation on the files below a path take a while; to be loaded by LD_PRELOAD.
 *
 * SLURMBAND_BENCHMARK_SLOW: what the absolute names of slow files begin with. Relative names are fast.
 * SLURMBAND_BENCHMARK_DELAY_US: microseconds to sleep before each operation.
 *
 * Where the file lies is looked at when it is opened. Not slow: seeking, mapping, and reading a folder
 * after it was opened.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#define DESCRIPTORS 65536

static const char *slow;
static size_t length;
static struct timespec pause_for;
static char is_slow[DESCRIPTORS];

__attribute__((constructor)) static void begin(void)
{
    const char *where = getenv("SLURMBAND_BENCHMARK_SLOW");
    const char *microseconds = getenv("SLURMBAND_BENCHMARK_DELAY_US");
    long each = microseconds ? atol(microseconds) : 0;

    if (!where || !*where || each <= 0)
        return;
    pause_for.tv_sec = each / 1000000;
    pause_for.tv_nsec = each % 1000000 * 1000;
    slow = strdup(where);
    length = slow ? strlen(slow) : 0;
}

static void delay(int due)
{
    if (due)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause_for, NULL); /* leaves errno alone */
}

static int below(const char *path)
{
    return slow && path && strncmp(path, slow, length) == 0;
}

static int of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS && is_slow[fd];
}

static int opened(int fd, int due)
{
    if (fd >= 0 && fd < DESCRIPTORS)
        is_slow[fd] = (char)due;
    return fd;
}

#define FIND(name)                                      \
    do {                                                \
        if (!real)                                      \
            *(void **)&real = dlsym(RTLD_NEXT, #name);  \
    } while (0)

#define OPERATION(result, name, due, parameters, arguments) \
    result name parameters                                  \
    {                                                       \
        static result(*real) parameters;                    \
        FIND(name);                                         \
        delay(due);                                         \
        return real arguments;                              \
    }

#define OPEN(name, before, ...)                                     \
    int name(before const char *path, int flags, ...)               \
    {                                                               \
        static int (*real)(before const char *, int, ...);          \
        mode_t mode = 0;                                            \
        FIND(name);                                                 \
        if (flags & (O_CREAT | O_TMPFILE)) {                        \
            va_list rest;                                           \
            va_start(rest, flags);                                  \
            mode = va_arg(rest, mode_t);                            \
            va_end(rest);                                           \
        }                                                           \
        delay(below(path));                                         \
        return opened(real(__VA_ARGS__, flags, mode), below(path)); \
    }

#define NOTHING
#define COMMA ,
OPEN(open, NOTHING, path)
OPEN(open64, NOTHING, path)
OPEN(openat, int folder COMMA, folder, path)
OPEN(openat64, int folder COMMA, folder, path)

int close(int fd)
{
    static int (*real)(int);
    FIND(close);
    delay(of(fd));
    opened(fd, 0);
    return real(fd);
}

static int locks(int command)
{
    switch (command) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return 1;
    default:
        return 0;
    }
}

#define FCNTL(name)                                \
    int name(int fd, int command, ...)             \
    {                                              \
        static int (*real)(int, int, ...);         \
        void *argument;                            \
        va_list rest;                              \
        FIND(name);                                \
        va_start(rest, command);                   \
        argument = va_arg(rest, void *);           \
        va_end(rest);                              \
        delay(of(fd) && locks(command));           \
        return real(fd, command, argument);        \
    }

FCNTL(fcntl)
FCNTL(fcntl64)

#define READ(name) \
    OPERATION(ssize_t, name, of(fd), (int fd, void *to, size_t size), (fd, to, size))
#define WRITE(name) \
    OPERATION(ssize_t, name, of(fd), (int fd, const void *from, size_t size), (fd, from, size))
#define PREAD(name)                                                             \
    OPERATION(ssize_t, name, of(fd), (int fd, void *to, size_t size, off64_t at), \
              (fd, to, size, at))
#define PWRITE(name)                                                                    \
    OPERATION(ssize_t, name, of(fd), (int fd, const void *from, size_t size, off64_t at), \
              (fd, from, size, at))
#define SYNC(name) OPERATION(int, name, of(fd), (int fd), (fd))
#define CUT(name) OPERATION(int, name, of(fd), (int fd, off64_t size), (fd, size))

READ(read)
WRITE(write)
PREAD(pread)
PREAD(pread64)
PWRITE(pwrite)
PWRITE(pwrite64)
SYNC(fsync)
SYNC(fdatasync)
CUT(ftruncate)
CUT(ftruncate64)

#define STAT(name) \
    OPERATION(int, name, below(path), (const char *path, void *found), (path, found))
#define FSTAT(name) OPERATION(int, name, of(fd), (int fd, void *found), (fd, found))
/* Of a path, or with an empty one of the descriptor. */
#define FSTATAT(name)                                                          \
    OPERATION(int, name, below(path) || (path && !*path && of(fd)),            \
              (int fd, const char *path, void *found, int flags), (fd, path, found, flags))
/* As programs call them that were built before glibc 2.33. */
#define OLD_STAT(name)                                                                    \
    OPERATION(int, name, below(path), (int version, const char *path, void *found), \
              (version, path, found))
#define OLD_FSTAT(name) \
    OPERATION(int, name, of(fd), (int version, int fd, void *found), (version, fd, found))

STAT(stat)
STAT(stat64)
STAT(lstat)
STAT(lstat64)
FSTAT(fstat)
FSTAT(fstat64)
FSTATAT(fstatat)
FSTATAT(fstatat64)
OLD_STAT(__xstat)
OLD_STAT(__xstat64)
OLD_STAT(__lxstat)
OLD_STAT(__lxstat64)
OLD_FSTAT(__fxstat)
OLD_FSTAT(__fxstat64)
OPERATION(int, statx, below(path) || (path && !*path && of(fd)),
          (int fd, const char *path, int flags, unsigned mask, void *found),
          (fd, path, flags, mask, found))

#define NAME(name) OPERATION(int, name, below(path), (const char *path), (path))
#define NAME_AND_MODE(name) \
    OPERATION(int, name, below(path), (const char *path, mode_t mode), (path, mode))
#define TWO_NAMES(name) \
    OPERATION(int, name, below(old) || below(path), (const char *old, const char *path), (old, path))

NAME(unlink)
NAME(rmdir)
NAME_AND_MODE(mkdir)
NAME_AND_MODE(access)
TWO_NAMES(link)
TWO_NAMES(rename)
TWO_NAMES(symlink)
OPERATION(void *, opendir, below(path), (const char *path), (path))
OPERATION(int, unlinkat, below(path), (int at, const char *path, int flags), (at, path, flags))
OPERATION(int, faccessat, below(path), (int at, const char *path, int mode, int flags),
          (at, path, mode, flags))
OPERATION(int, utimensat, below(path), (int at, const char *path, const void *times, int flags),
          (at, path, times, flags))
OPERATION(ssize_t, readlink, below(path), (const char *path, char *to, size_t size),
          (path, to, size))
OPERATION(int, linkat, below(old) || below(path),
          (int from, const char *old, int at, const char *path, int flags),
          (from, old, at, path, flags))
OPERATION(int, renameat, below(old) || below(path),
          (int from, const char *old, int at, const char *path), (from, old, at, path))
