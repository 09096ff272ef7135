/*
 * HTTP over MPTCP for the benchmarks, one request a connection, one after the other.
 *   requests serve ADDRESS PORT               answers "GET /BYTES" with so many bytes, until its input ends
 *   requests get ADDRESS PORT COUNT BYTES     prints what each took (microseconds, from connect to the end of the body), and the processor time
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MPTCP = 262, BUFFER = 1 << 16 };

static struct sockaddr_in peer = {.sin_family = AF_INET};
static char buffer[BUFFER];

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void send_all(int fd, long bytes) {
  for (ssize_t sent; bytes > 0; bytes -= sent) {
    sent = send(fd, buffer, bytes < BUFFER ? (size_t)bytes : BUFFER, MSG_NOSIGNAL);
    if (sent <= 0) return;
  }
}

static void answer(int fd) {
  size_t length = 0;
  char head[256];
  for (ssize_t got; length < sizeof head - 1; length += (size_t)got) {
    got = recv(fd, head + length, sizeof head - 1 - length, 0);
    if (got <= 0) return;
    head[length + (size_t)got] = 0;
    if (strstr(head, "\r\n\r\n")) break;
  }
  long bytes = atol(head + strlen("GET /"));
  int written = snprintf(head, sizeof head, "HTTP/1.0 200 OK\r\nContent-Length: %ld\r\n\r\n", bytes);
  send(fd, head, (size_t)written, MSG_NOSIGNAL | MSG_MORE);
  send_all(fd, bytes);
}

static void serve(void) {
  int fd = socket(AF_INET, SOCK_STREAM, MPTCP), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&peer, sizeof peer) || listen(fd, 1024)) fail("listen");
  puts("ready");
  fflush(stdout);
  struct pollfd both[] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
  while (poll(both, 2, -1) > 0 && !both[0].revents) {
    int got = accept(fd, NULL, NULL);
    if (got < 0) continue;
    answer(got);
    close(got);
  }
}

static void get(int count, long bytes) {
  char request[64];
  int length = snprintf(request, sizeof request, "GET /%ld HTTP/1.0\r\n\r\n", bytes);
  for (int i = 0; i < count; i++) {
    int64_t start = now_us();
    int fd = socket(AF_INET, SOCK_STREAM, MPTCP);
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer)) fail("connect");
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) fail("send");
    long sum = 0;
    for (ssize_t got; (got = recv(fd, buffer, BUFFER, 0)) > 0;) sum += got;
    if (sum < bytes) fail("body");
    printf("%ld\n", (long)(now_us() - start));
    close(fd);
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  long used = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  printf("used %ld\n", used);
}

int main(int count, char **words) {
  if (count < 4 || inet_pton(AF_INET, words[2], &peer.sin_addr) != 1) return 255;
  peer.sin_port = htons((uint16_t)atoi(words[3]));
  if (strcmp(words[1], "serve") == 0) serve();
  else if (strcmp(words[1], "get") == 0 && count == 6) get(atoi(words[4]), atol(words[5]));
  else return 255;
  return 0;
}
