/*
 * Answers prepared beforehand: a datagram that is like a pattern is answered as soon as it was received, before JavaScript
 * hears of it. What pattern and answer mean is not known here; "like" is to begin with the bits of it that a mask names.
 */
#include "answer.h"

#include "lock.h"
#include "receive.h"

typedef struct {
  int fd; /* where the answer goes; -1: nothing is prepared here */
  int id;
  int flags;
  unsigned pattern_length;
  unsigned answer_length;
  unsigned copies;
  uint8_t pattern[PATTERN_MAX];
  uint8_t mask[PATTERN_MAX];
  uint8_t answer[ANSWER_MAX];
  /* In bytes from the beginnings. */
  struct {
    uint16_t from;
    uint16_t to;
    uint16_t kind;
  } copy[COPIES_MAX];
} prepared_t;

struct answers {
  lock_t lock;
  unsigned count; /* slots in use are below this */
  uint32_t number; /* the last running number */
  prepared_t prepared[ANSWERS_MAX];
};

enum { WORD = 4 };
/* What one answer adds to the records at most, and the word of an overrun behind it. */
enum { GIVEN_BYTES_MAX = ANSWER_MAX + REPLIES_MAX * REPLY_MAX + (2 + REPLIES_MAX) * sizeof(record_t) };

answers_t *answers_create(void) { return allocate(sizeof(answers_t)); }

void answers_release(answers_t *answers) { give_back(answers, sizeof *answers); }

void answers_lock(answers_t *answers) { lock(&answers->lock); }

void answers_unlock(answers_t *answers) { unlock(&answers->lock); }

static uint32_t word_at(const uint8_t *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_word(uint8_t *bytes, uint32_t word) {
  for (unsigned byte = 0; byte < WORD; byte++) bytes[byte] = (uint8_t)(word >> 8 * byte);
}

static const uint8_t *bytes_of(const batch_t *batch, long index) {
  return batch->records->data + batch->datagram[index].record + sizeof(record_t);
}

static bool is_like(const prepared_t *prepared, const batch_t *batch, long index) {
  if (prepared->fd < 0 || batch->datagram[index].length < prepared->pattern_length) return false;
  const uint8_t *datagram = bytes_of(batch, index);
  for (unsigned i = 0; i < prepared->pattern_length; i++)
    if ((datagram[i] ^ prepared->pattern[i]) & prepared->mask[i]) return false;
  return true;
}

/* Prepared with an empty answer: it can wait for the next datagram. */
static bool is_hold(const prepared_t *prepared) { return prepared->answer_length == 0; }

/* The word to be copied first stands in a later datagram of the batch too: what that one says may ask for another answer. */
static bool is_followed(const prepared_t *prepared, const batch_t *batch, long index) {
  unsigned copy = 0;
  while (copy < prepared->copies && prepared->copy[copy].kind == COPY_RUNNING_NUMBER) copy++;
  if (copy == prepared->copies) return false;
  unsigned at = prepared->copy[copy].from;
  uint32_t word = word_at(bytes_of(batch, index) + at);
  for (long later = index + 1; later < batch->count; later++)
    if (batch->datagram[later].length >= at + WORD && word_at(bytes_of(batch, later) + at) == word) return true;
  return false;
}

static void fill_in(answers_t *answers, prepared_t *prepared, const uint8_t *datagram) {
  for (unsigned i = 0; i < prepared->copies; i++) {
    const uint8_t *from = datagram + prepared->copy[i].from;
    uint8_t *to = prepared->answer + prepared->copy[i].to;
    switch (prepared->copy[i].kind) {
      case COPY_RUNNING_NUMBER:
        put_word(to, ++answers->number);
        break;
      case COPY_SWAPPED:
        to[0] = from[1];
        to[1] = from[0];
        break;
      default:
        put_word(to, word_at(from));
    }
  }
}

static void report(batch_t *batch, long index, uint32_t kind, int id, bytes_t bytes) {
  records_t *records = batch->records;
  uint32_t back = (uint32_t)(records->length - batch->datagram[index].record);
  records_add(records, (record_t){(uint32_t)bytes.length, kind, (uint32_t)id, back}, bytes.data);
}

/* Whoever answers inside send(2), as netlink does, has replied now: read at once, replies cannot pile up. */
static void read_replies(const prepared_t *prepared, batch_t *batch, long index) {
  uint8_t reply[REPLY_MAX];
  for (unsigned count = 0;; count++) {
    long length = receive_one(prepared->fd, (bytes_t){reply, sizeof reply});
    if (length < 0 && length != -ENOBUFS_) return;
    /* Half a reply would say something else. */
    if (length < 0 || (size_t)length > sizeof reply || count >= REPLIES_MAX) continue;
    report(batch, index, RECORD_REPLY, prepared->id, (bytes_t){reply, (size_t)length});
  }
}

static bool give(answers_t *answers, prepared_t *prepared, batch_t *batch, long index) {
  if (!records_have_room(batch->records, GIVEN_BYTES_MAX)) return false;
  fill_in(answers, prepared, bytes_of(batch, index));
  long sent = syscall6(__NR_sendto, prepared->fd, (long)prepared->answer, prepared->answer_length,
                       MSG_NOSIGNAL_ | MSG_DONTWAIT_, 0, 0);
  if (sent < 0) return false;
  report(batch, index, RECORD_ANSWER, prepared->id, (bytes_t){prepared->answer, prepared->answer_length});
  read_replies(prepared, batch, index);
  return true;
}

/* What is not answered here is left to JavaScript, which hears of every datagram. */
static void answer(answers_t *answers, batch_t *batch, long index) {
  for (unsigned slot = 0; slot < answers->count; slot++) {
    prepared_t *prepared = &answers->prepared[slot];
    if (!is_like(prepared, batch, index)) continue;
    if (is_hold(prepared) || is_followed(prepared, batch, index)) return;
    if (give(answers, prepared, batch, index) && (prepared->flags & ANSWER_ONCE)) prepared->fd = -1;
    return;
  }
}

void answers_give(answers_t *answers, batch_t *batch) {
  for (long index = 0; index < batch->count; index++) answer(answers, batch, index);
}

static bool can_wait(const answers_t *answers, const batch_t *batch, long index) {
  for (unsigned slot = 0; slot < answers->count; slot++) {
    const prepared_t *prepared = &answers->prepared[slot];
    if (is_hold(prepared) && is_like(prepared, batch, index)) return true;
  }
  return false;
}

bool answers_can_wait(const answers_t *answers, const batch_t *batch) {
  for (long index = 0; index < batch->count; index++)
    if (!can_wait(answers, batch, index)) return false;
  return true;
}

void answers_withdraw(answers_t *answers, int slot) {
  answers_lock(answers);
  for (unsigned i = 0; i < answers->count; i++)
    if (slot < 0 || i == (unsigned)slot) answers->prepared[i].fd = -1;
  answers_unlock(answers);
}

static bool copy_fits(const int32_t *copy, const answer_request_t *request) {
  if (copy[2] < 0 || copy[2] >= COPY_KINDS) return false;
  if (copy[0] < 0 || (copy[2] != COPY_RUNNING_NUMBER && (size_t)copy[0] + WORD > request->pattern.length)) return false;
  return copy[1] >= 0 && (size_t)copy[1] + WORD <= request->answer.length;
}

static bool fits(const answer_request_t *request) {
  if (request->slot < 0 || request->slot >= ANSWERS_MAX || request->fd < 0) return false;
  if (request->pattern.length == 0 || request->pattern.length > PATTERN_MAX) return false;
  if (request->mask.length != request->pattern.length || request->answer.length > ANSWER_MAX) return false;
  if (request->copies_length / COPY_NUMBERS > COPIES_MAX) return false;
  for (size_t i = 0; request->answer.length > 0 && i < request->copies_length / COPY_NUMBERS; i++)
    if (!copy_fits(request->copies + i * COPY_NUMBERS, request)) return false;
  return true;
}

static void put(prepared_t *prepared, const answer_request_t *request) {
  prepared->fd = request->fd;
  prepared->id = request->id;
  prepared->flags = request->flags;
  prepared->pattern_length = (unsigned)request->pattern.length;
  prepared->answer_length = (unsigned)request->answer.length;
  prepared->copies = request->answer.length > 0 ? (unsigned)request->copies_length / COPY_NUMBERS : 0;
  memcpy(prepared->pattern, request->pattern.data, request->pattern.length);
  memcpy(prepared->mask, request->mask.data, request->mask.length);
  memcpy(prepared->answer, request->answer.data, request->answer.length);
  for (unsigned i = 0; i < prepared->copies; i++) {
    const int32_t *copy = request->copies + i * COPY_NUMBERS;
    prepared->copy[i].from = (uint16_t)copy[0];
    prepared->copy[i].to = (uint16_t)copy[1];
    prepared->copy[i].kind = (uint16_t)copy[2];
  }
}

long answers_prepare(answers_t *answers, const answer_request_t *request) {
  if (!fits(request)) return -EINVAL_;
  answers_lock(answers);
  for (unsigned slot = answers->count; slot < (unsigned)request->slot; slot++) answers->prepared[slot].fd = -1;
  if (answers->count <= (unsigned)request->slot) answers->count = (unsigned)request->slot + 1;
  put(&answers->prepared[request->slot], request);
  answers_unlock(answers);
  return 0;
}
