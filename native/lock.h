/*
 * A mutual exclusion between JavaScript's thread and an answer thread: futex(2) and three states, as in Drepper's "Futexes Are
 * Tricky" (mutex 2). Free of system calls while nobody waits.
 */
#ifndef SUBFLOW_LOCK_H
#define SUBFLOW_LOCK_H

#include <stdbool.h>

#include "syscall.h"

typedef struct {
  int state;
} lock_t;

enum { LOCK_FREE, LOCK_HELD, LOCK_WAITED_FOR, FUTEX_WAIT_PRIVATE_ = 128, FUTEX_WAKE_PRIVATE_ = 129 };

static inline void lock(lock_t *which) {
  int seen = LOCK_FREE;
  if (__atomic_compare_exchange_n(&which->state, &seen, LOCK_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  while (__atomic_exchange_n(&which->state, LOCK_WAITED_FOR, __ATOMIC_ACQUIRE) != LOCK_FREE)
    syscall5(__NR_futex, &which->state, FUTEX_WAIT_PRIVATE_, LOCK_WAITED_FOR, 0, 0);
}

static inline void unlock(lock_t *which) {
  if (__atomic_exchange_n(&which->state, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_WAITED_FOR)
    syscall3(__NR_futex, &which->state, FUTEX_WAKE_PRIVATE_, 1);
}

#endif
