/* Prints what the daemon tells of MPTCP connections, a line of JSON each time: docs/protocol.md. cc -o watch watch.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static FILE *connect_to(const char *kind) {
  const char *directory = getenv("SUBFLOW_RUNTIME_DIRECTORY");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat namespace;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  stat("/proc/self/ns/net", &namespace);
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%lu.%s", directory ? directory : "/run/subflow",
           (unsigned long)namespace.st_ino, kind);
  return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fdopen(fd, "r+") : NULL;
}

int main(void) {
  char *line = NULL, after[128] = "";
  size_t room = 0;
  FILE *daemon = connect_to("sock"); /* root and the daemon's group */
  if (!daemon) daemon = connect_to("apps.sock"); /* everybody: their own connections */
  if (!daemon) return fputs("no Subflow daemon answers here\n", stderr), 1;
  for (;;) {
    fprintf(daemon, "{\"v\":1,\"id\":1,\"method\":\"watch\",\"params\":{%s}}\n", after);
    fflush(daemon);
    if (getline(&line, &room, daemon) < 0) return fputs("the daemon has ended\n", stderr), 1;
    char *next = strstr(line, "\"next\":\"");
    if (!next) return fputs(line, stderr), 1;
    snprintf(after, sizeof after, "\"after\":\"%.*s\"", (int)strcspn(next + 8, "\""), next + 8);
    fputs(line, stdout);
    fflush(stdout);
  }
}
