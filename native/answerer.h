/* The answer thread; see answerer.c. */
#ifndef SUBFLOW_ANSWERER_H
#define SUBFLOW_ANSWERER_H

#include "answer.h"

typedef struct answerer answerer_t;

typedef struct {
  int fd;       /* where datagrams come from; whoever starts the thread closes it, after its end */
  bytes_t room; /* for what is handed over, aligned to 8, at least ROOM_MIN; valid until the thread's end */
  bool spins;   /* never sleeps */
  /* Both are called by the thread: when it begins, and when there is something to take. */
  void (*begins)(void);
  void (*wakes)(void *context);
  void *context;
} answerer_options_t;

enum { DATAGRAM_MAX = 8192, ANSWERS_ROOM = 48 * 1024, STAGE_BYTES = BATCH_MAX * (DATAGRAM_MAX + 16) + ANSWERS_ROOM };
enum { ROOM_MIN = 2 * STAGE_BYTES };

/* 0 and the thread, or -errno and NULL: -EAGAIN where this user, or this group of processes, may have no more threads. */
long answerer_start(answerer_t **answerer, const answerer_options_t *options);
/* When this returns, nothing goes out any more, and nothing is there. */
void answerer_stop(answerer_t *answerer);

answers_t *answerer_answers(answerer_t *answerer);

/* What was received and done since the last time, as records; empty: nothing. Valid until the next call. */
bytes_t answerer_take(answerer_t *answerer);

#endif
