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

const verb_t process_verbs[] = {
    {"forgetPages", verb_forget_pages},
    {"openFile", verb_open_file},
    {"close", verb_close},
    {"netnsInode", verb_netns_inode},
    {"enterNamespace", verb_enter_namespace},
    {"newNamespace", verb_new_namespace},
    {"lockFile", verb_lock_file},
    {NULL, NULL},
};
