/* Memory without a C library. */
#ifndef SUBFLOW_BYTES_H
#define SUBFLOW_BYTES_H

#include <stdbool.h>

#include "syscall.h"

typedef struct {
  uint8_t *data;
  size_t length;
} bytes_t;

enum { PROT_READ_WRITE_ = 3, MAP_PRIVATE_ANONYMOUS_ = 0x22 };

/* Zeroes; NULL: there is no memory. */
static inline void *allocate(size_t length) {
  long memory = syscall6(__NR_mmap, 0, (long)length, PROT_READ_WRITE_, MAP_PRIVATE_ANONYMOUS_, -1, 0);
  return memory < 0 && memory > -4096 ? NULL : (void *)memory;
}

static inline void give_back(void *memory, size_t length) { syscall3(__NR_munmap, memory, length, 0); }

/* The compiler calls these by itself too, even in freestanding code. */
__attribute__((visibility("hidden"))) void *memset(void *target, int value, size_t length);
__attribute__((visibility("hidden"))) void *memcpy(void *target, const void *source, size_t length);

#endif
