/* Answers that are given without JavaScript; see answer.c. */
#ifndef SUBFLOW_ANSWER_H
#define SUBFLOW_ANSWER_H

#include "records.h"

enum {
  ANSWERS_MAX = 160,
  PATTERN_MAX = 256,
  ANSWER_MAX = 1024,
  COPIES_MAX = 32,
  COPY_NUMBERS = 3,
  REPLIES_MAX = 16,
  REPLY_MAX = 256,
  BATCH_MAX = 16,
};

/* What a copy does: COPY_NUMBERS numbers are its place in the datagram, its place in the answer, and one of these. */
enum { COPY_WORD, COPY_SWAPPED, COPY_RUNNING_NUMBER, COPY_KINDS };

/* Of an answer's flags: only the next datagram that is like the pattern is answered. */
enum { ANSWER_ONCE = 1 };

typedef struct answers answers_t;

/* Datagrams received together, each in a record of the records that what is done about them is added to. */
typedef struct {
  records_t *records;
  long count;
  struct {
    size_t record; /* where it begins */
    size_t length; /* of what is there; the rest of a longer one is lost */
  } datagram[BATCH_MAX];
} batch_t;

typedef struct {
  int slot;
  int fd;
  int id;
  int flags;
  bytes_t pattern;
  bytes_t mask;
  bytes_t answer;
  const int32_t *copies;
  size_t copies_length;
} answer_request_t;

/* NULL: no memory. */
answers_t *answers_create(void);
void answers_release(answers_t *answers);

/* 0, or -EINVAL for what does not fit. When this or answers_withdraw returns, nothing goes out any more of what was in the slot. */
long answers_prepare(answers_t *answers, const answer_request_t *request);
/* slot -1: all of them. */
void answers_withdraw(answers_t *answers, int slot);

/* To be held around answers_give, and until JavaScript can find what it added: what is withdrawn was sent and told of, or never is. */
void answers_lock(answers_t *answers);
void answers_unlock(answers_t *answers);
/* Answers what is like a pattern, and adds records of that. The lock is held. */
void answers_give(answers_t *answers, batch_t *batch);
/* Every datagram of the batch is like a pattern with an empty answer: nobody need hear of them before the next. The lock is held. */
bool answers_can_wait(const answers_t *answers, const batch_t *batch);

#endif
