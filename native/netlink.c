/* Netlink sockets: open, join a group, send, receive many. What the datagrams mean is not known here. */
#include "addon.h"
#include "receive.h"

enum { NETLINK_ADD_MEMBERSHIP_ = 1, NETLINK_CAP_ACK_ = 10, NETLINK_EXT_ACK_ = 11, NETLINK_GET_STRICT_CHK_ = 12 };
struct netlink_address {
  uint16_t family;
  uint16_t pad;
  uint32_t port;
  uint32_t groups;
};

static long set_receive_buffer(int fd, int size) {
  /* The forced form may exceed net.core.rmem_max and needs CAP_NET_ADMIN in the first user namespace. */
  if (set_option(fd, SOL_SOCKET_, SO_RCVBUFFORCE_, &size, sizeof size) < 0) {
    long result = set_option(fd, SOL_SOCKET_, SO_RCVBUF_, &size, sizeof size);
    if (result < 0) return result;
  }
  int actual = 0;
  unsigned length = sizeof actual;
  long result = get_option(fd, SOL_SOCKET_, SO_RCVBUF_, &actual, &length);
  return result < 0 ? result : actual;
}

static long create_netlink(void *context) {
  return syscall3(__NR_socket, AF_NETLINK_, SOCK_RAW_ | SOCK_CLOEXEC_ | SOCK_NONBLOCK_, *(int *)context);
}

static long open_netlink(int protocol, int netns_fd, int receive_buffer) {
  long fd = in_namespace(netns_fd, create_netlink, &protocol);
  if (fd < 0) return fd;
  struct netlink_address address = {.family = AF_NETLINK_};
  long result = syscall3(__NR_bind, fd, &address, sizeof address);
  if (result >= 0 && receive_buffer > 0) result = set_receive_buffer((int)fd, receive_buffer);
  if (result < 0) {
    close_fd((int)fd);
    return result;
  }
  /* Best effort, a kernel without them answers less precisely: ACKs with reasons, without an echo, and checked filters. */
  static const int wanted[] = {NETLINK_CAP_ACK_, NETLINK_EXT_ACK_, NETLINK_GET_STRICT_CHK_};
  int on = 1;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    set_option((int)fd, SOL_NETLINK_, wanted[i], &on, sizeof on);
  return fd;
}

static napi_value verb_open_netlink(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int protocol, netns_fd, receive_buffer;
  if (!read_arguments(env, info, 3, values) || !read_int(env, values[0], &protocol) ||
      !read_int(env, values[1], &netns_fd) || !read_int(env, values[2], &receive_buffer))
    return NULL;
  return number(env, open_netlink(protocol, netns_fd, receive_buffer));
}

static napi_value verb_join_group(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd, group;
  if (!read_arguments(env, info, 2, values) || !read_int(env, values[0], &fd) || !read_int(env, values[1], &group))
    return NULL;
  return number(env, set_option(fd, SOL_NETLINK_, NETLINK_ADD_MEMBERSHIP_, &group, sizeof group));
}

static napi_value verb_set_receive_buffer(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd, size;
  if (!read_arguments(env, info, 2, values) || !read_int(env, values[0], &fd) || !read_int(env, values[1], &size))
    return NULL;
  return number(env, set_receive_buffer(fd, size));
}

static long send_bytes(int fd, bytes_t bytes, int length) {
  if (length < 0 || (size_t)length > bytes.length) return -EINVAL_;
  long sent;
  do sent = syscall6(__NR_sendto, fd, (long)bytes.data, length, MSG_NOSIGNAL_, 0, 0);
  while (sent == -EINTR_);
  return sent;
}

static napi_value verb_send(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd, length;
  bytes_t bytes;
  if (!read_arguments(env, info, 3, values) || !read_int(env, values[0], &fd) || !read_bytes(env, values[1], &bytes) ||
      !read_int(env, values[2], &length))
    return NULL;
  return number(env, send_bytes(fd, bytes, length));
}

static napi_value verb_receive(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int fd, timeout_ms;
  bytes_t slab;
  int32_t *lengths;
  size_t slots;
  if (!read_arguments(env, info, 4, values) || !read_int(env, values[0], &fd) || !read_bytes(env, values[1], &slab) ||
      !read_lengths(env, values[2], &lengths, &slots) || !read_int(env, values[3], &timeout_ms))
    return NULL;
  return number(env, receive_many(fd, slab, lengths, slots, timeout_ms));
}

static napi_value verb_transact(napi_env env, napi_callback_info info) {
  napi_value values[6];
  int fd, length, timeout_ms;
  bytes_t request, slab;
  int32_t *lengths;
  size_t slots;
  if (!read_arguments(env, info, 6, values) || !read_int(env, values[0], &fd) ||
      !read_bytes(env, values[1], &request) || !read_int(env, values[2], &length) ||
      !read_bytes(env, values[3], &slab) || !read_lengths(env, values[4], &lengths, &slots) ||
      !read_int(env, values[5], &timeout_ms))
    return NULL;
  long result = send_bytes(fd, request, length);
  if (result >= 0) result = receive_many(fd, slab, lengths, slots, timeout_ms);
  return number(env, result);
}

const verb_t netlink_verbs[] = {
    {"openNetlink", verb_open_netlink}, {"joinGroup", verb_join_group}, {"setReceiveBuffer", verb_set_receive_buffer},
    {"send", verb_send},                {"receive", verb_receive},      {"transact", verb_transact},
    {NULL, NULL},
};
