/* What belongs to the calling thread or the process: the network namespace, files, memory. */
#include <linux/stat.h>

#include "addon.h"

enum { AT_EMPTY_PATH_ = 0x1000, PATH_MAX_ = 4096, MADV_DONTNEED_ = 4 };

/* The thread's namespace, or -EPERM where leaving it would be for good (one that belongs to an outer user namespace):
 * entering the one it is in already needs the same right as coming back. */
static long open_own_namespace(void) {
  long own = open_path("/proc/thread-self/ns/net", O_RDONLY_);
  if (own < 0) return own;
  long result = syscall3(__NR_setns, own, CLONE_NEWNET_, 0);
  if (result >= 0) return own;
  close_fd((int)own);
  return result;
}

static void return_to(int own) {
  if (syscall3(__NR_setns, own, CLONE_NEWNET_, 0) < 0)
    napi_fatal_error("subflow", NAPI_AUTO_LENGTH, "could not return to the thread's own network namespace",
                     NAPI_AUTO_LENGTH);
}

long in_namespace(int netns_fd, long (*call)(void *context), void *context) {
  if (netns_fd < 0) return call(context);
  long own = open_own_namespace();
  if (own < 0) return own;
  long result = syscall3(__NR_setns, netns_fd, CLONE_NEWNET_, 0);
  if (result >= 0) {
    result = call(context);
    return_to((int)own);
  }
  close_fd((int)own);
  return result;
}

struct open_request {
  const char *path;
  int flags;
};

static long open_file(void *context) {
  struct open_request *request = context;
  return open_path(request->path, request->flags);
}

static napi_value verb_open_file(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int flags, netns_fd;
  char path[PATH_MAX_];
  if (!read_arguments(env, info, 3, values) || !read_path(env, values[0], path, sizeof path) ||
      !read_int(env, values[1], &flags) || !read_int(env, values[2], &netns_fd))
    return NULL;
  struct open_request request = {path, flags};
  return number(env, in_namespace(netns_fd, open_file, &request));
}

static napi_value verb_close(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  return number(env, close_fd(fd));
}

/* A fresh network namespace; it lives as long as the descriptor, or what was made in it, does. */
static napi_value verb_new_namespace(napi_env env, napi_callback_info info) {
  (void)info;
  long own = open_own_namespace();
  if (own < 0) return number(env, own);
  long result = syscall3(__NR_unshare, CLONE_NEWNET_, 0, 0);
  if (result >= 0) {
    result = open_path("/proc/thread-self/ns/net", O_RDONLY_);
    return_to((int)own);
  }
  close_fd((int)own);
  return number(env, result);
}

/* An advisory lock that the kernel gives back when the process ends, however it ends (flock(2)). */
static napi_value verb_lock_file(napi_env env, napi_callback_info info) {
  enum { LOCK_EX_ = 2, LOCK_NB_ = 4 };
  napi_value value;
  int fd;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  return number(env, syscall3(__NR_flock, fd, LOCK_EX_ | LOCK_NB_, 0));
}

static napi_value verb_netns_inode(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  struct statx status;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  long result = syscall5(__NR_statx, fd, "", AT_EMPTY_PATH_, STATX_INO, &status);
  return number(env, result < 0 ? (double)result : (double)status.stx_ino);
}

static napi_value verb_enter_namespace(napi_env env, napi_callback_info info) {
  napi_value value;
  int fd;
  if (!read_arguments(env, info, 1, &value) || !read_int(env, value, &fd)) return NULL;
  return number(env, syscall3(__NR_setns, fd, CLONE_NEWNET_, 0));
}

static napi_value verb_forget_pages(napi_env env, napi_callback_info info) {
  napi_value values[2];
  double start, length;
  if (!read_arguments(env, info, 2, values)) return NULL;
  if (napi_get_value_double(env, values[0], &start) != napi_ok ||
      napi_get_value_double(env, values[1], &length) != napi_ok) {
    napi_throw_type_error(env, NULL, "expected two numbers");
    return NULL;
  }
  return number(env, syscall3(__NR_madvise, (uint64_t)start, (uint64_t)length, MADV_DONTNEED_));
}

enum { SIGPIPE_ = 13, SIGXFSZ_ = 25, SIGNAL_SET_BYTES = 8, RLIMIT_NOFILE_ = 7, F_SETFD_ = 2 };

/* Texts that each end with a zero byte, as the array that execve(2) takes. @returns what follows it; NULL: there is no room */
static char **list_texts(bytes_t texts, char **room, const char **end) {
  for (size_t at = 0; at < texts.length; at++) {
    if (at > 0 && texts.data[at - 1] != 0) continue;
    if (room >= (char **)end) return NULL;
    *room++ = (char *)texts.data + at;
  }
  if (room >= (char **)end) return NULL;
  *room++ = NULL;
  return room;
}

/* What Node changed for itself is as a program expects it: two signals that it ignores, and the limit that it raised. */
static void undo_node(int open_files_max) {
  const uint64_t by_default[4] = {0}; /* struct kernel_sigaction: SIG_DFL */
  syscall6(__NR_rt_sigaction, SIGPIPE_, (long)by_default, 0, SIGNAL_SET_BYTES, 0, 0);
  syscall6(__NR_rt_sigaction, SIGXFSZ_, (long)by_default, 0, SIGNAL_SET_BYTES, 0, 0);
  uint64_t limit[2];
  if (open_files_max < 0 || syscall5(__NR_prlimit64, 0, RLIMIT_NOFILE_, 0, limit, 0) < 0) return;
  if ((uint64_t)open_files_max >= limit[0]) return;
  limit[0] = (uint64_t)open_files_max;
  syscall5(__NR_prlimit64, 0, RLIMIT_NOFILE_, limit, 0, 0);
}

/* execve(2): returns only when it failed. */
static napi_value verb_become(napi_env env, napi_callback_info info) {
  napi_value values[6];
  char path[PATH_MAX_];
  bytes_t words, environment, room;
  int open_files_max;
  int32_t *kept;
  size_t kept_count;
  if (!read_arguments(env, info, 6, values) || !read_path(env, values[0], path, sizeof path) ||
      !read_bytes(env, values[1], &words) || !read_bytes(env, values[2], &environment) ||
      !read_bytes(env, values[3], &room) || !read_lengths(env, values[4], &kept, &kept_count) ||
      !read_int(env, values[5], &open_files_max))
    return NULL;
  const bool ends = words.length > 0 && words.data[words.length - 1] == 0 &&
                    (environment.length == 0 || environment.data[environment.length - 1] == 0);
  if ((uintptr_t)room.data % sizeof(char *) != 0 || !ends) return number(env, -EINVAL_);
  char **arguments = (char **)room.data;
  /* Of a place that is cut off nothing is used. */
  const char **end = (const char **)arguments + room.length / sizeof(char *);
  char **variables = list_texts(words, arguments, end);
  if (!variables || !list_texts(environment, variables, end)) return number(env, -EINVAL_);
  undo_node(open_files_max);
  for (size_t i = 0; i < kept_count; i++) syscall3(__NR_fcntl, kept[i], F_SETFD_, 0);
  return number(env, syscall3(__NR_execve, path, arguments, variables));
}

const verb_t process_verbs[] = {
    {"become", verb_become},
    {"forgetPages", verb_forget_pages},
    {"openFile", verb_open_file},
    {"close", verb_close},
    {"netnsInode", verb_netns_inode},
    {"enterNamespace", verb_enter_namespace},
    {"newNamespace", verb_new_namespace},
    {"lockFile", verb_lock_file},
    {NULL, NULL},
};
