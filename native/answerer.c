/*
 * The answer thread: owns a socket, answers what an answer is prepared for, and hands over everything it received and did, in
 * order, in two halves of one memory: it fills one while JavaScript reads the other. Where JavaScript falls behind by a whole
 * half, the thread stops receiving; then the kernel keeps what comes, and says so when it has to drop some.
 */
#include "answerer.h"

#include "lock.h"
#include "receive.h"
#include "thread.h"

/*
 * While datagrams come this close together, so many in a row, the thread looks for the next one without sleeping, for as long:
 * waking it would cost more than most answers. Not before: where processors are short, a thread that looks takes the time of those
 * who have something to say: see the daemon that
 * spins in bench/RESULTS.md.
 */
enum { CLOSE_NANOSECONDS = 50000, IN_A_ROW = 8 };

struct answerer {
  answerer_options_t options;
  answers_t *answers;
  uv_thread_t thread;
  int bell; /* an eventfd that wakes the thread */
  int stops;
  int64_t last; /* when a datagram came, nanoseconds */
  unsigned close; /* how many came close together */
  int64_t poll_until;
  lock_t lock; /* of what follows */
  records_t filled;
  unsigned half; /* which one is filled */
  bool waits_for_room;
  /* A batch while it is dealt with. */
  records_t staged;
  _Alignas(8) uint8_t stage[STAGE_BYTES];
};

static int64_t now(void) {
  int64_t time[2] = {0, 0};
  syscall3(__NR_clock_gettime, CLOCK_MONOTONIC_, time, 0);
  return time[0] * 1000000000 + time[1];
}

static void ring(answerer_t *answerer) {
  const uint64_t one = 1;
  syscall3(__NR_write, answerer->bell, &one, sizeof one);
}

static bool stops(const answerer_t *answerer) { return __atomic_load_n(&answerer->stops, __ATOMIC_ACQUIRE); }

static bool has_room(answerer_t *answerer) {
  lock(&answerer->lock);
  bool room = records_have_room(&answerer->filled, STAGE_BYTES);
  answerer->waits_for_room = !room;
  unlock(&answerer->lock);
  return room;
}

static void wait_for_bell(answerer_t *answerer, bool also_datagrams) {
  poll_t list[] = {{answerer->bell, POLLIN_, 0}, {answerer->options.fd, POLLIN_, 0}};
  uint64_t count;
  wait_readable(list, also_datagrams ? 2 : 1, -1);
  if (list[0].revents) syscall3(__NR_read, answerer->bell, &count, sizeof count);
}

/* Receives what is there, at most a batch: 0, or what ended it: -EAGAIN, -ENOBUFS, or that the socket is of no use any more. */
static long receive_batch(answerer_t *answerer, batch_t *batch) {
  records_t *staged = &answerer->staged;
  *staged = (records_t){answerer->stage, sizeof answerer->stage, 0};
  batch->records = staged;
  for (batch->count = 0; batch->count < BATCH_MAX; batch->count++) {
    uint8_t *room = staged->data + staged->length + sizeof(record_t);
    long real = receive_one(answerer->options.fd, (bytes_t){room, DATAGRAM_MAX});
    if (real < 0) return real;
    size_t there = real < DATAGRAM_MAX ? (size_t)real : DATAGRAM_MAX;
    batch->datagram[batch->count].length = there;
    batch->datagram[batch->count].record =
        records_add(staged, (record_t){(uint32_t)there, RECORD_DATAGRAM, (uint32_t)real, 0}, room);
  }
  return 0;
}

/* True: it is so much that JavaScript should have it. */
static bool hand_over(answerer_t *answerer) {
  lock(&answerer->lock);
  memcpy(answerer->filled.data + answerer->filled.length, answerer->staged.data, answerer->staged.length);
  answerer->filled.length += answerer->staged.length;
  bool much = !records_have_room(&answerer->filled, answerer->filled.room / 2);
  unlock(&answerer->lock);
  return much;
}

/* Answers the batch, and hands it over with what was done about it, and then with how it ended. */
static void serve(answerer_t *answerer, batch_t *batch, long ending) {
  bool fails = ending < 0 && ending != -EAGAIN_;
  answers_lock(answerer->answers);
  answers_give(answerer->answers, batch);
  uint32_t kind = ending == -ENOBUFS_ ? RECORD_OVERRUN : RECORD_ERROR;
  if (fails) records_add(&answerer->staged, (record_t){.kind = kind, .number = (uint32_t)-ending}, NULL);
  bool can_wait = !fails && answers_can_wait(answerer->answers, batch);
  bool much = hand_over(answerer);
  answers_unlock(answerer->answers);
  if (!can_wait || much) answerer->options.wakes(answerer->options.context);
}

/* Datagrams came: how long to look for more of them. */
static void note_datagrams(answerer_t *answerer) {
  int64_t time = now();
  answerer->close = time - answerer->last < CLOSE_NANOSECONDS ? answerer->close + 1 : 0;
  answerer->poll_until = answerer->close >= IN_A_ROW ? time + CLOSE_NANOSECONDS : 0;
  answerer->last = time;
}

static void rest(answerer_t *answerer) {
  if (answerer->options.spins || now() < answerer->poll_until) return;
  wait_for_bell(answerer, true);
}

static void run(void *argument) {
  answerer_t *answerer = argument;
  batch_t batch;
  answerer->options.begins();
  ask_for_short_turns();
  while (!stops(answerer)) {
    if (!has_room(answerer)) {
      wait_for_bell(answerer, false);
      continue;
    }
    long ending = receive_batch(answerer, &batch);
    if (batch.count == 0 && ending == -EAGAIN_) {
      rest(answerer);
      continue;
    }
    serve(answerer, &batch, ending);
    note_datagrams(answerer);
    if (ending < 0 && ending != -EAGAIN_ && ending != -ENOBUFS_) break;
  }
}

bytes_t answerer_take(answerer_t *answerer) {
  lock(&answerer->lock);
  bytes_t taken = {answerer->filled.data, answerer->filled.length};
  bool waits = answerer->waits_for_room;
  if (taken.length > 0) {
    answerer->half ^= 1;
    answerer->filled.data = answerer->options.room.data + answerer->half * answerer->filled.room;
    answerer->filled.length = 0;
    answerer->waits_for_room = false;
  }
  unlock(&answerer->lock);
  if (taken.length > 0 && waits) ring(answerer);
  return taken;
}

answers_t *answerer_answers(answerer_t *answerer) { return answerer->answers; }

static void release(answerer_t *answerer) {
  if (answerer->answers) answers_release(answerer->answers);
  if (answerer->bell >= 0) close_fd(answerer->bell);
  give_back(answerer, sizeof *answerer);
}

static long set_up(answerer_t *answerer, const answerer_options_t *options) {
  answerer->options = *options;
  answerer->filled = (records_t){options->room.data, (options->room.length / 2) & ~(size_t)7, 0};
  answerer->answers = answers_create();
  answerer->bell = (int)syscall3(__NR_eventfd2, 0, EFD_FLAGS_, 0);
  if (!answerer->answers) return -ENOMEM_;
  if (answerer->bell < 0) return answerer->bell;
  return start_thread(&answerer->thread, run, answerer);
}

long answerer_start(answerer_t **answerer, const answerer_options_t *options) {
  int type;
  unsigned length = sizeof type;
  long result = get_option(options->fd, SOL_SOCKET_, SO_TYPE_, &type, &length);
  if (result < 0) return result;
  if (options->room.length < ROOM_MIN || (uintptr_t)options->room.data % 8 != 0) return -EINVAL_;
  *answerer = allocate(sizeof **answerer);
  if (!*answerer) return -ENOMEM_;
  result = set_up(*answerer, options);
  if (result >= 0) return 0;
  release(*answerer);
  *answerer = NULL;
  return result;
}

void answerer_stop(answerer_t *answerer) {
  __atomic_store_n(&answerer->stops, 1, __ATOMIC_RELEASE);
  ring(answerer);
  uv_thread_join(&answerer->thread);
  release(answerer);
}
