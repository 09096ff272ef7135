/*
 * The answer thread under a storm, for the sanitizers: a writer floods its socket, while this thread prepares, withdraws, takes and
 * closes. `stress ROUNDS`; says how many answers it saw, and fails where one came that was withdrawn, or out of order.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../native/answerer.h"

static struct {
  void (*run)(void *argument);
  void *argument;
} begun;

static void *begin(void *nothing) {
  begun.run(begun.argument);
  return nothing;
}

int uv_thread_create(unsigned long *thread, void (*run)(void *), void *argument) {
  begun.run = run;
  begun.argument = argument;
  return -pthread_create((pthread_t *)thread, NULL, begin, NULL);
}
int uv_thread_join(unsigned long *thread) { return -pthread_join(*(pthread_t *)thread, NULL); }

enum { WORDS = 8 };

static void begins(void) {}
static void wakes(void *context) { __atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED); }

static int writes_to, ends;
static void *flood(void *argument) {
  (void)argument;
  for (uint32_t n = 1; !__atomic_load_n(&ends, __ATOMIC_RELAXED); n++) {
    uint32_t datagram[WORDS] = {7, n};
    if (send(writes_to, datagram, sizeof datagram, MSG_DONTWAIT) < 0) { n--; usleep(20); }
  }
  return NULL;
}

static void fail(const char *what) {
  fprintf(stderr, "stress: %s\n", what);
  exit(1);
}

static uint32_t last;
static long datagrams, answers;

/* Datagrams come in their order, and no answer but of those that may still be told of. */
static void check(bytes_t taken, uint32_t current, uint32_t previous) {
  for (size_t at = 0; at < taken.length;) {
    record_t record;
    uint32_t words[2];
    memcpy(&record, taken.data + at, sizeof record);
    memcpy(words, taken.data + at + sizeof record, sizeof words);
    if (record.kind == RECORD_DATAGRAM) {
      if (words[1] != last + 1) fail("a datagram is missing or out of order");
      last = words[1];
      datagrams++;
    } else if (record.kind == RECORD_ANSWER) {
      if (record.number != current && record.number != previous) fail("an answer that was withdrawn long ago");
      if (record.back == 0 || record.back > at) fail("an answer to nothing");
      answers++;
    }
    at += record_size(record.length);
  }
}

int main(int count, char **arguments) {
  const long rounds = count > 1 ? atol(arguments[1]) : 2000;
  int events[2], replies[2], woken = 0;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, events)) fail("socketpair");
  bytes_t room = {aligned_alloc(16, ROOM_MIN), ROOM_MIN};
  answerer_options_t options = {.fd = events[0], .room = room, .begins = begins, .wakes = wakes, .context = &woken};
  answerer_t *answerer;
  if (answerer_start(&answerer, &options) < 0) fail("start");
  pthread_t writer;
  writes_to = events[1];
  pthread_create(&writer, NULL, flood, NULL);
  uint8_t pattern[8] = {7}, mask[8] = {0xff}, answer[16] = {0};
  const int32_t copies[] = {4, 4, COPY_WORD, 0, 8, COPY_RUNNING_NUMBER};
  for (long round = 1; round <= rounds; round++) {
    /* Where the answers go is closed right after they are withdrawn: one that came later would fail or meet another file. */
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, replies)) fail("socketpair");
    answer_request_t request = {.slot = 0, .fd = replies[0], .id = (int)round, .pattern = {pattern, 8}, .mask = {mask, 8},
                                .answer = {answer, 16}, .copies = copies, .copies_length = 6};
    if (answers_prepare(answerer_answers(answerer), &request) < 0) fail("prepare");
    usleep(round % 7 * 10);
    check(answerer_take(answerer), (uint32_t)round, (uint32_t)round - 1);
    answers_withdraw(answerer_answers(answerer), -1);
    close(replies[0]);
    close(replies[1]);
    check(answerer_take(answerer), (uint32_t)round, (uint32_t)round);
  }
  __atomic_store_n(&ends, 1, __ATOMIC_RELAXED);
  pthread_join(writer, NULL);
  answerer_stop(answerer);
  free(room.data);
  if (answers == 0) fail("nothing was answered");
  printf("%ld datagrams, %ld answers, woken %d times\n", datagrams, answers, woken);
  return 0;
}
