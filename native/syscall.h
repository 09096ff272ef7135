/*
 * System calls without a C library. One binary then serves glibc of any age and musl alike: `readelf -d` shows no NEEDED.
 * Every call returns what the kernel returns: a value >= 0, or -errno.
 */
#ifndef SUBFLOW_SYSCALL_H
#define SUBFLOW_SYSCALL_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__)

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

#else
#error "subflow's addon knows the system calls of x86-64 and arm64 only"
#endif

#define syscall3(number, a, b, c) syscall6((number), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define syscall5(number, a, b, c, d, e) syscall6((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

/* The same on both architectures (asm-generic/errno.h, asm-generic/fcntl.h, linux/socket.h). */
enum {
  EPERM_ = 1,
  EINTR_ = 4,
  EAGAIN_ = 11,
  ENOMEM_ = 12,
  EBUSY_ = 16,
  EINVAL_ = 22,
  ENAMETOOLONG_ = 36,
  ENOBUFS_ = 105,
  EINPROGRESS_ = 115,
};
enum { O_RDONLY_ = 0, O_CLOEXEC_ = 02000000, AT_FDCWD_ = -100 };
enum { AF_UNIX_ = 1, AF_INET_ = 2, AF_INET6_ = 10, AF_NETLINK_ = 16 };
enum { SOCK_STREAM_ = 1, SOCK_DGRAM_ = 2, SOCK_RAW_ = 3, SOCK_NONBLOCK_ = 04000, SOCK_CLOEXEC_ = 02000000 };
enum { SOL_SOCKET_ = 1, SOL_NETLINK_ = 270, IPPROTO_MPTCP_ = 262 };
enum { SO_RCVBUF_ = 8, SO_LINGER_ = 13, SO_PEERCRED_ = 17, SO_RCVBUFFORCE_ = 33 };
enum { MSG_TRUNC_ = 0x20, MSG_DONTWAIT_ = 0x40, MSG_NOSIGNAL_ = 0x4000 };
enum { CLONE_NEWNET_ = 0x40000000 };

static inline long close_fd(int fd) { return syscall3(__NR_close, fd, 0, 0); }
static inline long open_path(const char *path, int flags) {
  return syscall5(__NR_openat, AT_FDCWD_, path, flags | O_CLOEXEC_, 0, 0);
}
static inline long set_option(int fd, int level, int name, const void *value, unsigned length) {
  return syscall5(__NR_setsockopt, fd, level, name, value, length);
}
static inline long get_option(int fd, int level, int name, void *value, unsigned *length) {
  return syscall5(__NR_getsockopt, fd, level, name, value, length);
}

#endif
