/* Receiving datagrams; see receive.c. */
#ifndef SUBFLOW_RECEIVE_H
#define SUBFLOW_RECEIVE_H

#include "bytes.h"

enum { POLLIN_ = 1 };

typedef struct {
  int fd;
  short events;
  short revents;
} poll_t;

/* One datagram that is there: its real length, or -EAGAIN, or -ENOBUFS for an overrun. */
long receive_one(int fd, bytes_t room);

/* Fills slots of slab with the datagrams that are there: how many, or as above. -EAGAIN only after timeout_ms. */
long receive_many(int fd, bytes_t slab, int32_t *lengths, size_t slots, int timeout_ms);

/* ppoll(2) that a signal does not end. timeout_ms -1: for ever. */
long wait_readable(poll_t *list, unsigned count, int timeout_ms);

#endif
