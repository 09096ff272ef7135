/*
 * Answers prepared beforehand: a datagram that is like a pattern is answered as soon as it was received, before JavaScript
 * hears of it. What pattern and answer mean is not known here; "like" is to begin with the bits of it that a mask names.
 */
#include "answer.h"

typedef struct {
  int fd; /* where the answer goes; -1: nothing is prepared here */
  unsigned pattern_length;
  unsigned answer_length;
  unsigned copies;
  bool once;
  uint8_t pattern[PATTERN_MAX];
  uint8_t mask[PATTERN_MAX];
  uint8_t answer[ANSWER_MAX];
  /* Each: a word of the datagram that takes its place in the answer; in bytes from their beginnings. */
  struct {
    uint16_t from;
    uint16_t to;
    bool swapped; /* two bytes only, in the other order */
  } copy[COPIES_MAX];
} prepared_t;

struct answers {
  unsigned count; /* slots in use are below this */
  unsigned given;
  struct {
    uint16_t datagram;
    uint16_t answer;
  } log[GIVEN_MAX];
  prepared_t prepared[ANSWERS_MAX];
};

enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22, WORD = 4 };

static answers_t *create(void) {
  long memory = syscall6(__NR_mmap, 0, sizeof(answers_t), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  return memory < 0 && memory > -4096 ? NULL : (answers_t *)memory;
}

void answers_release(answers_t *answers) {
  if (answers) syscall3(__NR_munmap, answers, sizeof *answers, 0);
}

static uint32_t word_at(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool is_like(const prepared_t *prepared, const uint8_t *datagram, int32_t length) {
  if (prepared->fd < 0 || (unsigned)length < prepared->pattern_length) return false;
  for (unsigned i = 0; i < prepared->pattern_length; i++)
    if ((datagram[i] ^ prepared->pattern[i]) & prepared->mask[i]) return false;
  return true;
}

/* Prepared with an empty answer: it can wait for the next datagram. */
static bool is_hold(const prepared_t *prepared) { return prepared->answer_length == 0; }

/* The words to be copied stand in a later datagram of the batch too: what that one says may ask for another answer. */
static bool is_followed(const prepared_t *prepared, const batch_t *batch, long index) {
  if (prepared->copies == 0) return false;
  unsigned at = prepared->copy[0].from;
  uint32_t word = word_at(batch->slab + index * batch->slot + at);
  for (long later = index + 1; later < batch->count; later++)
    if (batch->lengths[later] >= (int32_t)(at + WORD) && word_at(batch->slab + later * batch->slot + at) == word) return true;
  return false;
}

static bool give(prepared_t *prepared, const uint8_t *datagram) {
  for (unsigned i = 0; i < prepared->copies; i++) {
    const uint8_t *from = datagram + prepared->copy[i].from;
    uint8_t *to = prepared->answer + prepared->copy[i].to;
    if (prepared->copy[i].swapped) {
      to[0] = from[1];
      to[1] = from[0];
    } else
      for (unsigned byte = 0; byte < WORD; byte++) to[byte] = from[byte];
  }
  return syscall6(__NR_sendto, prepared->fd, (long)prepared->answer, prepared->answer_length,
                  MSG_NOSIGNAL_ | MSG_DONTWAIT_, 0, 0) >= 0;
}

unsigned answers_give(answers_t *answers, const batch_t *batch) {
  if (!answers) return 0;
  answers->given = 0;
  for (long index = 0; index < batch->count; index++) {
    const uint8_t *datagram = batch->slab + index * batch->slot;
    for (unsigned slot = 0; slot < answers->count; slot++) {
      prepared_t *prepared = &answers->prepared[slot];
      if (!is_like(prepared, datagram, batch->lengths[index])) continue;
      /* Not given: JavaScript, which hears of every datagram, answers by itself. */
      if (is_hold(prepared) || answers->given == GIVEN_MAX) break;
      if (is_followed(prepared, batch, index) || !give(prepared, datagram)) break;
      if (prepared->once) prepared->fd = -1;
      answers->log[answers->given].datagram = (uint16_t)index;
      answers->log[answers->given++].answer = (uint16_t)slot;
      break;
    }
  }
  return answers->given;
}

static bool can_wait(const answers_t *answers, const uint8_t *datagram, int32_t length) {
  for (unsigned slot = 0; slot < answers->count; slot++) {
    const prepared_t *prepared = &answers->prepared[slot];
    if (is_hold(prepared) && is_like(prepared, datagram, length)) return true;
  }
  return false;
}

bool answers_can_wait(const answers_t *answers, const batch_t *batch) {
  if (!answers) return false;
  for (long index = 0; index < batch->count; index++)
    if (!can_wait(answers, batch->slab + index * batch->slot, batch->lengths[index])) return false;
  return true;
}

unsigned answers_given(const answers_t *answers, int32_t *pairs, size_t room) {
  unsigned given = answers ? answers->given : 0;
  if (given > room / 2) given = (unsigned)(room / 2);
  for (unsigned i = 0; i < given; i++) {
    pairs[2 * i] = answers->log[i].datagram;
    pairs[2 * i + 1] = answers->log[i].answer;
  }
  return given;
}

void answers_withdraw(answers_t *answers, int slot) {
  for (unsigned i = 0; answers && i < answers->count; i++)
    if (slot < 0 || i == (unsigned)slot) answers->prepared[i].fd = -1;
}

static bool fits(const answer_request_t *request) {
  if (request->slot < 0 || request->slot >= ANSWERS_MAX || request->fd < 0) return false;
  if (request->pattern.length == 0 || request->pattern.length > PATTERN_MAX) return false;
  if (request->mask.length != request->pattern.length || request->answer.length > ANSWER_MAX) return false;
  if (request->copies_length / COPY_NUMBERS > COPIES_MAX) return false;
  for (size_t i = 0; request->answer.length > 0 && i < request->copies_length / COPY_NUMBERS; i++) {
    const int32_t *copy = request->copies + i * COPY_NUMBERS;
    if (copy[0] < 0 || (size_t)copy[0] + WORD > request->pattern.length) return false;
    if (copy[1] < 0 || (size_t)copy[1] + WORD > request->answer.length) return false;
  }
  return true;
}

long answers_prepare(answers_t **answers, const answer_request_t *request) {
  if (!fits(request)) return -EINVAL_;
  if (!*answers && !(*answers = create())) return -ENOMEM_;
  for (unsigned slot = (*answers)->count; slot < (unsigned)request->slot; slot++) (*answers)->prepared[slot].fd = -1;
  if ((*answers)->count <= (unsigned)request->slot) (*answers)->count = (unsigned)request->slot + 1;
  prepared_t *prepared = &(*answers)->prepared[request->slot];
  prepared->fd = request->fd;
  prepared->pattern_length = (unsigned)request->pattern.length;
  prepared->answer_length = (unsigned)request->answer.length;
  prepared->once = request->once;
  prepared->copies = request->answer.length > 0 ? (unsigned)request->copies_length / COPY_NUMBERS : 0;
  memcpy(prepared->pattern, request->pattern.data, request->pattern.length);
  memcpy(prepared->mask, request->mask.data, request->mask.length);
  memcpy(prepared->answer, request->answer.data, request->answer.length);
  for (unsigned i = 0; i < prepared->copies; i++) {
    const int32_t *copy = request->copies + i * COPY_NUMBERS;
    prepared->copy[i].from = (uint16_t)copy[0];
    prepared->copy[i].to = (uint16_t)copy[1];
    prepared->copy[i].swapped = copy[2] != 0;
  }
  return 0;
}
