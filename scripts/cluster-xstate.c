/* Lets User Mode Linux run on processors whose register state is larger than it knows (Intel's AMX).

   Linux wants the whole state when a tracer writes registers (PTRACE_SETREGSET, NT_X86_XSTATE), and refuses a part of it with
   EFAULT; a kernel that is older than such a processor hands in only the part that it knows, and panics. Loaded before the
   C library by scripts/cluster, this adds the rest: registers that nothing in a node uses, in their initial state, as the
   state's own header says. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long (*ptrace_call)(enum __ptrace_request, pid_t, void *, void *);

/* Not on the stack, which is small in such a kernel; it has one processor, and so one writer. */
static char whole[65536] __attribute__((aligned(64)));

long ptrace(enum __ptrace_request request, ...)
{
    static ptrace_call libc;
    static size_t size;
    va_list rest;
    va_start(rest, request);
    pid_t pid = va_arg(rest, pid_t);
    void *type = va_arg(rest, void *);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (!libc)
        libc = (ptrace_call)dlsym(RTLD_NEXT, "ptrace");
    if (request != PTRACE_SETREGSET || (long)type != NT_X86_XSTATE)
        return libc(request, pid, type, data);

    const struct iovec *known = data;
    struct iovec all = {whole, sizeof whole};
    if (!size) {
        if (libc(PTRACE_GETREGSET, pid, type, &all) < 0)
            return -1;
        size = all.iov_len;
    }
    if (known->iov_len >= size)
        return libc(request, pid, type, data);
    memcpy(whole, known->iov_base, known->iov_len);
    all.iov_len = size;
    return libc(request, pid, type, &all);
}
