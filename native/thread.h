/* A thread that takes no signals. Of libuv: it is there wherever Node is, and knows the C library's threads. */
#ifndef SUBFLOW_THREAD_H
#define SUBFLOW_THREAD_H

#include "syscall.h"

typedef unsigned long uv_thread_t; /* pthread_t, of glibc and musl alike */
extern int uv_thread_create(uv_thread_t *thread, void (*run)(void *argument), void *argument);
extern int uv_thread_join(uv_thread_t *thread);

enum { SIG_SETMASK_ = 2 };

/* The signals below 35 that are the C libraries' own; one that is blocked would keep setuid(2) waiting for ever. */
static const uint64_t ALL_BUT_THE_C_LIBRARIES = ~((1ull << 31) | (1ull << 32) | (1ull << 33));

/* 0 or -errno. */
static inline long start_thread(uv_thread_t *thread, void (*run)(void *argument), void *argument) {
  uint64_t before;
  /* A thread inherits what is blocked: signals are Node's own affair. */
  syscall5(__NR_rt_sigprocmask, SIG_SETMASK_, &ALL_BUT_THE_C_LIBRARIES, &before, sizeof before, 0);
  int result = uv_thread_create(thread, run, argument);
  syscall5(__NR_rt_sigprocmask, SIG_SETMASK_, &before, NULL, sizeof before, 0);
  return result;
}

/* linux/sched/types.h, the first version of it. */
typedef struct {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
} sched_attr_t;

enum { SCHED_OTHER_ = 0, SHORTEST_TURN_NANOSECONDS = 100000 };

/*
 * For a thread that has little to do, and that soon: who asks the scheduler for short turns is let in before those who run, with no more of a
 * processor in all, and without a privilege (sched_setattr(2), Linux 6.12). An older kernel knows of no turns; whoever gave this process another
 * class has had a reason, and a filter that refuses it too.
 */
static inline void ask_for_short_turns(void) {
  sched_attr_t attr;
  if (syscall5(__NR_sched_getattr, 0, &attr, sizeof attr, 0, 0) < 0) return;
  if (attr.policy != SCHED_OTHER_ || attr.runtime == 0) return;
  attr.runtime = SHORTEST_TURN_NANOSECONDS;
  syscall3(__NR_sched_setattr, 0, &attr, 0);
}

#endif
