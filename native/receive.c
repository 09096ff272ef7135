/* Receiving datagrams: one, or many in one system call, at once or with a deadline. */
#include "receive.h"

/* One call reads at most this many datagrams: 4.5 KB of stack for the headers. */
enum { SLOTS_MAX = 64 };

struct io_vector {
  void *base;
  size_t length;
};
struct message_header {
  void *name;
  int name_length;
  struct io_vector *vectors;
  size_t vector_count;
  void *control;
  size_t control_length;
  unsigned flags;
};
struct many_message_header {
  struct message_header header;
  unsigned length;
};

long receive_one(int fd, bytes_t room) {
  long length;
  do length = syscall6(__NR_recvfrom, fd, (long)room.data, (long)room.length, MSG_DONTWAIT_ | MSG_TRUNC_, 0, 0);
  while (length == -EINTR_);
  return length;
}

static long receive_now(int fd, bytes_t slab, int32_t *lengths, size_t slots) {
  struct many_message_header headers[SLOTS_MAX];
  struct io_vector vectors[SLOTS_MAX];
  size_t slot_size = slab.length / slots;
  if (slots > SLOTS_MAX) slots = SLOTS_MAX;
  for (size_t i = 0; i < slots; i++) {
    vectors[i] = (struct io_vector){slab.data + i * slot_size, slot_size};
    headers[i] = (struct many_message_header){.header = {.vectors = &vectors[i], .vector_count = 1}};
  }
  long count;
  do count = syscall5(__NR_recvmmsg, fd, headers, slots, MSG_DONTWAIT_ | MSG_TRUNC_, 0);
  while (count == -EINTR_);
  for (long i = 0; i < count; i++) lengths[i] = (int32_t)headers[i].length;
  return count;
}

long wait_readable(poll_t *list, unsigned count, int timeout_ms) {
  struct {
    int64_t seconds;
    int64_t nanoseconds;
  } timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000000L};
  long ready;
  /* ppoll leaves what remains of the time in `timeout`, so a signal does not lengthen the wait. */
  do ready = syscall5(__NR_ppoll, list, count, timeout_ms < 0 ? NULL : &timeout, 0, 0);
  while (ready == -EINTR_);
  return ready;
}

long receive_many(int fd, bytes_t slab, int32_t *lengths, size_t slots, int timeout_ms) {
  long count = receive_now(fd, slab, lengths, slots);
  if (count != -EAGAIN_ || timeout_ms <= 0) return count;
  poll_t one = {fd, POLLIN_, 0};
  long ready = wait_readable(&one, 1, timeout_ms);
  if (ready < 0) return ready;
  return ready == 0 ? -EAGAIN_ : receive_now(fd, slab, lengths, slots);
}
