/* Answers that a watch gives by itself; see answer.c. */
#ifndef SUBFLOW_ANSWER_H
#define SUBFLOW_ANSWER_H

#include "addon.h"

enum { ANSWERS_MAX = 80, PATTERN_MAX = 256, ANSWER_MAX = 1024, COPIES_MAX = 16, COPY_NUMBERS = 3, GIVEN_MAX = 64 };

typedef struct answers answers_t;

/* Datagrams received together: lengths[i] bytes at slab + i * slot. */
typedef struct {
  uint8_t *slab;
  size_t slot;
  const int32_t *lengths;
  long count;
} batch_t;

typedef struct {
  int slot;
  int fd;
  int once; /* not 0: the slot is empty after it answered */
  bytes_t pattern;
  bytes_t mask;
  bytes_t answer;
  const int32_t *copies; /* triples: place in the datagram, place in the answer, 1: two bytes, swapped */
  size_t copies_length;
} answer_request_t;

/* Makes the table when there is none. 0, -EINVAL for what does not fit, -ENOMEM. */
long answers_prepare(answers_t **answers, const answer_request_t *request);
/* slot -1: all of them. */
void answers_withdraw(answers_t *answers, int slot);
void answers_release(answers_t *answers);

/* Answers what is like a pattern; how many were. They are those of answers_given until the next batch. */
unsigned answers_give(answers_t *answers, const batch_t *batch);
/* Every datagram of the batch is like a pattern with an empty answer: nobody need hear of them before the next. */
bool answers_can_wait(const answers_t *answers, const batch_t *batch);
unsigned answers_given(const answers_t *answers, int32_t *pairs, size_t room);

#endif
