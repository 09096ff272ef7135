/* Sockets that Node cannot make: MPTCP, in any network namespace; SO_PEERCRED; datagrams to a Unix socket. */
#include "addon.h"

enum { ACCEPT_MAX = 64, UNIX_PATH_MAX_ = 108 };

typedef struct {
  uint16_t family;
  uint16_t port; /* network order */
  union {
    struct {
      uint8_t address[4];
      uint8_t zero[8];
    } v4;
    struct {
      uint32_t flow;
      uint8_t address[16];
      uint32_t scope;
    } v6;
  };
} socket_address_t;

/* The length of the address, 0 when the bytes are no IP address. */
static unsigned make_address(bytes_t bytes, int port, int scope, socket_address_t *result) {
  *result = (socket_address_t){.port = __builtin_bswap16((uint16_t)port)};
  if (bytes.length == 4) {
    result->family = AF_INET_;
    memcpy(result->v4.address, bytes.data, 4);
    return 16;
  }
  if (bytes.length != 16) return 0;
  result->family = AF_INET6_;
  memcpy(result->v6.address, bytes.data, 16);
  result->v6.scope = (uint32_t)scope;
  return 28;
}

static long create_mptcp(void *context) {
  return syscall3(__NR_socket, *(int *)context, SOCK_STREAM_ | SOCK_CLOEXEC_ | SOCK_NONBLOCK_, IPPROTO_MPTCP_);
}

static napi_value verb_mptcp_socket(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int family, netns_fd;
  if (!read_arguments(env, info, 2, values) || !read_int(env, values[0], &family) ||
      !read_int(env, values[1], &netns_fd))
    return NULL;
  return number(env, in_namespace(netns_fd, create_mptcp, &family));
}

static napi_value verb_bind(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int fd, port, interface_index;
  bytes_t bytes;
  socket_address_t address;
  if (!read_arguments(env, info, 4, values) || !read_int(env, values[0], &fd) || !read_bytes(env, values[1], &bytes) ||
      !read_int(env, values[2], &port) || !read_int(env, values[3], &interface_index))
    return NULL;
  unsigned length = make_address(bytes, port, interface_index, &address);
  return number(env, length == 0 ? -EINVAL_ : syscall3(__NR_bind, fd, &address, length));
}

static napi_value verb_connect(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd, port;
  bytes_t bytes;
  socket_address_t address;
  if (!read_arguments(env, info, 3, values) || !read_int(env, values[0], &fd) || !read_bytes(env, values[1], &bytes) ||
      !read_int(env, values[2], &port))
    return NULL;
  unsigned length = make_address(bytes, port, 0, &address);
  long result = length == 0 ? -EINVAL_ : syscall3(__NR_connect, fd, &address, length);
  return number(env, result == -EINPROGRESS_ ? 0 : result);
}

static napi_value verb_listen(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd, backlog;
  if (!read_arguments(env, info, 2, values) || !read_int(env, values[0], &fd) || !read_int(env, values[1], &backlog))
    return NULL;
  return number(env, syscall3(__NR_listen, fd, backlog, 0));
}

static long accept_one(int fd) {
  return syscall5(__NR_accept4, fd, 0, 0, SOCK_NONBLOCK_ | SOCK_CLOEXEC_, 0);
}

static napi_value verb_accept(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  return number(env, accept_one(fd));
}

static napi_value verb_accept_and_close(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd, count = 0;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  /* Lingering for no time makes close() send a reset: the peer learns at once that nobody serves it here. */
  static const int linger[2] = {1, 0};
  for (; count < ACCEPT_MAX; count++) {
    long accepted = accept_one(fd);
    if (accepted < 0) return number(env, count > 0 || accepted == -EAGAIN_ ? count : accepted);
    set_option((int)accepted, SOL_SOCKET_, SO_LINGER_, linger, sizeof linger);
    close_fd((int)accepted);
  }
  return number(env, count);
}

static bool read_option(napi_env env, napi_callback_info info, int *numbers, bytes_t *bytes) {
  napi_value values[4];
  return read_arguments(env, info, 4, values) && read_int(env, values[0], &numbers[0]) &&
         read_int(env, values[1], &numbers[1]) && read_int(env, values[2], &numbers[2]) &&
         read_bytes(env, values[3], bytes);
}

static napi_value verb_getsockopt(napi_env env, napi_callback_info info) {
  int numbers[3];
  bytes_t bytes;
  if (!read_option(env, info, numbers, &bytes)) return NULL;
  unsigned length = (unsigned)bytes.length;
  long result = get_option(numbers[0], numbers[1], numbers[2], bytes.data, &length);
  return number(env, result < 0 ? result : length);
}

static napi_value verb_setsockopt(napi_env env, napi_callback_info info) {
  int numbers[3];
  bytes_t bytes;
  if (!read_option(env, info, numbers, &bytes)) return NULL;
  return number(env, set_option(numbers[0], numbers[1], numbers[2], bytes.data, (unsigned)bytes.length));
}

static napi_value verb_peer_credentials(napi_env env, napi_callback_info info) {
  napi_value value, result;
  int fd;
  struct {
    int pid;
    unsigned uid;
    unsigned gid;
  } credentials;
  unsigned length = sizeof credentials;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  long outcome = get_option(fd, SOL_SOCKET_, SO_PEERCRED_, &credentials, &length);
  if (outcome < 0) return number(env, outcome);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_number(env, result, "pid", credentials.pid);
  set_number(env, result, "uid", credentials.uid);
  set_number(env, result, "gid", credentials.gid);
  return result;
}

static napi_value verb_send_unix_datagram(napi_env env, napi_callback_info info) {
  napi_value values[2];
  bytes_t bytes;
  struct {
    uint16_t family;
    char path[UNIX_PATH_MAX_ + 2];
  } address = {.family = AF_UNIX_};
  if (!read_arguments(env, info, 2, values) || !read_path(env, values[0], address.path, sizeof address.path) ||
      !read_bytes(env, values[1], &bytes))
    return NULL;
  size_t length = 0;
  while (address.path[length] != 0) length++;
  if (length > UNIX_PATH_MAX_) return number(env, -ENAMETOOLONG_);
  if (address.path[0] == '@') address.path[0] = 0; /* the abstract namespace of unix(7) */
  long fd = syscall3(__NR_socket, AF_UNIX_, SOCK_DGRAM_ | SOCK_CLOEXEC_, 0);
  if (fd < 0) return number(env, fd);
  long sent = syscall6(__NR_sendto, fd, (long)bytes.data, (long)bytes.length, MSG_NOSIGNAL_ | MSG_DONTWAIT_,
                       (long)&address, (long)(sizeof address.family + length));
  close_fd((int)fd);
  return number(env, sent);
}

const verb_t socket_verbs[] = {
    {"mptcpSocket", verb_mptcp_socket},
    {"bind", verb_bind},
    {"connect", verb_connect},
    {"listen", verb_listen},
    {"accept", verb_accept},
    {"acceptAndClose", verb_accept_and_close},
    {"getsockopt", verb_getsockopt},
    {"setsockopt", verb_setsockopt},
    {"peerCredentials", verb_peer_credentials},
    {"sendUnixDatagram", verb_send_unix_datagram},
    {NULL, NULL},
};
