/*
 * MPTCP connections for the benchmarks, of one byte each way.
 *   traffic serve ADDRESS PORT PORTS              echoes a byte on each connection, until its input ends
 *   traffic series ADDRESS PORT PORTS COUNT [REST_MS]   one after the other, each until its second subflow is there
 *   traffic storm ADDRESS PORT PORTS SECONDS RATE LIFE_MS CAP   RATE 0: as many as CAP at a time allow
 *   traffic hold ADDRESS PORT PORTS COUNT         opens them, says "ready", and keeps them until its input ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MPTCP = 262, SOL_MPTCP_ = 284, MPTCP_INFO_ = 1, FDS = 1 << 17 };

static struct sockaddr_in peer = {.sin_family = AF_INET};
static int port, ports;

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int watch(int set, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

/* mptcpi_subflows: the first byte of struct mptcp_info. */
static int extra_subflows(int fd) {
  uint8_t info[128] = {0};
  socklen_t length = sizeof info;
  return getsockopt(fd, SOL_MPTCP_, MPTCP_INFO_, info, &length) ? -1 : info[0];
}

static int open_connection(int flags) {
  static int next;
  int fd = socket(AF_INET, SOCK_STREAM | flags, MPTCP);
  if (fd < 0) fail("socket");
  /* Closed with MP_FASTCLOSE: ports are free again at once. */
  struct linger linger = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  peer.sin_port = htons((uint16_t)(port + next++ % ports));
  if (connect(fd, (struct sockaddr *)&peer, sizeof peer) && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

static void serve(void) {
  static char listening[FDS];
  int set = epoll_create1(0), one = 1;
  for (int i = 0; i < ports; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, MPTCP);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    peer.sin_port = htons((uint16_t)(port + i));
    if (bind(fd, (struct sockaddr *)&peer, sizeof peer) || listen(fd, 4096)) fail("listen");
    listening[fd] = 1;
    watch(set, fd, EPOLLIN);
  }
  watch(set, 0, EPOLLIN);
  puts("ready");
  fflush(stdout);
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(set, events, 256, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      char byte;
      if (fd == 0) exit(0);
      if (listening[fd]) {
        for (int got; (got = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) watch(set, got, EPOLLIN);
      } else if (recv(fd, &byte, 1, 0) == 1) send(fd, &byte, 1, MSG_NOSIGNAL);
      else if (errno != EAGAIN || events[i].events & (EPOLLHUP | EPOLLERR)) close(fd);
    }
  }
}

static void series(int count, int rest_ms) {
  int missing = 0;
  for (int i = 0; i < count; i++) {
    char byte = 1;
    int fd = open_connection(0);
    if (fd < 0 || send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) fail("connection");
    int64_t end = now_us() + 100000;
    while (extra_subflows(fd) < 1 && now_us() < end) usleep(200);
    if (extra_subflows(fd) < 1) missing++;
    usleep(1000); /* the join completes */
    close(fd);
    usleep(rest_ms * 1000); /* the manager is at rest again */
  }
  printf("{\"connections\":%d,\"missing\":%d}\n", count, missing);
}

static void storm(double seconds, int rate, int life_ms, int cap) {
  static struct { int fd; int64_t end; } queue[FDS];
  int set = epoll_create1(0), open = 0;
  unsigned head = 0, tail = 0;
  long started = 0, done = 0, missing = 0, failed = 0;
  int64_t begin = now_us(), finish = begin + (int64_t)(seconds * 1e6), now;
  struct epoll_event events[256];
  while ((now = now_us()) < finish || open > 0) {
    for (int burst = 0; burst < 64 && now < finish && open < cap; burst++) {
      if (rate > 0 && started >= (now - begin) * (double)rate / 1e6) break;
      started++;
      int fd = open_connection(SOCK_NONBLOCK);
      if (fd < 0) { failed++; continue; }
      open++;
      watch(set, fd, EPOLLOUT | EPOLLONESHOT);
    }
    int count = epoll_wait(set, events, 256, open < cap && now < finish && rate == 0 ? 0 : 1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      char byte = 1;
      struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = fd};
      if (events[i].events & (EPOLLERR | EPOLLHUP)) { failed++; open--; close(fd); }
      else if (events[i].events & EPOLLOUT) { send(fd, &byte, 1, MSG_NOSIGNAL); epoll_ctl(set, EPOLL_CTL_MOD, fd, &again); }
      else {
        recv(fd, &byte, 1, MSG_DONTWAIT);
        queue[head % FDS].fd = fd;
        queue[head++ % FDS].end = now_us() + life_ms * 1000LL;
      }
    }
    for (now = now_us(); tail != head && queue[tail % FDS].end <= now; tail++) {
      int fd = queue[tail % FDS].fd;
      if (extra_subflows(fd) < 1) missing++;
      close(fd);
      done++;
      open--;
    }
    if (now > finish + 10000000) break;
  }
  printf("{\"connections\":%ld,\"missing\":%ld,\"failed\":%ld,\"seconds\":%.3f}\n", done, missing, failed + open, (finish - begin) / 1e6);
}

static void hold(int count) {
  for (int i = 0; i < count; i++) {
    char byte = 1;
    int fd = open_connection(0);
    if (fd < 0 || send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) fail("connection");
  }
  puts("ready");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
}

int main(int count, char **words) {
  if (count < 5 || inet_pton(AF_INET, words[2], &peer.sin_addr) != 1) return 255;
  struct rlimit files = {FDS, FDS};
  setrlimit(RLIMIT_NOFILE, &files);
  port = atoi(words[3]);
  ports = atoi(words[4]);
  if (strcmp(words[1], "serve") == 0) serve();
  else if (strcmp(words[1], "series") == 0 && (count == 6 || count == 7)) series(atoi(words[5]), count == 7 ? atoi(words[6]) : 1);
  else if (strcmp(words[1], "storm") == 0 && count == 9) storm(atof(words[5]), atoi(words[6]), atoi(words[7]), atoi(words[8]));
  else if (strcmp(words[1], "hold") == 0 && count == 6) hold(atoi(words[5]));
  else return 255;
  return 0;
}
