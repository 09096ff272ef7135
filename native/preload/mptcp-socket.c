/*
 * Preloaded by `subflow exec` and `subflow enable`: a program that asks for TCP gets MPTCP, and TCP where the kernel says no.
 * No library is linked, so that one file serves glibc of any age and musl: what it takes of the C library it finds in the program.
 */
#include "../syscall.h"

enum { TYPE_MASK = 0xf, IPPROTO_TCP_ = 6 };

/* <errno.h> of glibc and musl. */
int *__errno_location(void);
/* Before glibc 2.34 a program may be without. */
__attribute__((weak)) void *dlsym(void *handle, const char *name);
#define RTLD_NEXT_ ((void *)-1L)

typedef int socket_function(int family, int type, int protocol);

/* Raw: for programs in which nothing finds the C library's own. */
static int socket_by_kernel(int family, int type, int protocol) {
  long result = syscall3(__NR_socket, family, type, protocol);
  if (result >= 0) return (int)result;
  *__errno_location() = (int)-result;
  return -1;
}

/* Whoever else stands in between (another preloaded library, a sanitizer) is asked as without us. */
static socket_function *next_socket(void) {
  static socket_function *next;
  socket_function *found = __atomic_load_n(&next, __ATOMIC_RELAXED);
  if (found) return found;
  if (dlsym) found = (socket_function *)dlsym(RTLD_NEXT_, "socket");
  if (!found) found = socket_by_kernel;
  __atomic_store_n(&next, found, __ATOMIC_RELAXED);
  return found;
}

__attribute__((visibility("default"))) int socket(int family, int type, int protocol) {
  socket_function *next = next_socket();
  if ((family == AF_INET_ || family == AF_INET6_) && (type & TYPE_MASK) == SOCK_STREAM_ &&
      (protocol == 0 || protocol == IPPROTO_TCP_)) {
    const int before = *__errno_location();
    const int fd = next(family, type, IPPROTO_MPTCP_);
    if (fd >= 0) return fd;
    /* Whatever it was, no MPTCP or no more descriptors: plain TCP works as ever, or says the same again. */
    *__errno_location() = before;
  }
  return next(family, type, protocol);
}
