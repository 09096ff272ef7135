/* What belongs to the calling thread: its network namespace, its files, its capabilities. */
#include <linux/capability.h>
#include <linux/prctl.h>
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

typedef struct {
  struct __user_cap_header_struct header;
  struct __user_cap_data_struct data[2];
} capabilities_t;

static long capabilities(capabilities_t *result) {
  *result = (capabilities_t){.header = {_LINUX_CAPABILITY_VERSION_3, 0}};
  return syscall3(__NR_capget, &result->header, result->data, 0);
}

static long drop_capabilities(uint32_t keep_low, uint32_t keep_high) {
  capabilities_t caps;
  long result = capabilities(&caps);
  if (result < 0) return result;
  const uint32_t keep[2] = {keep_low, keep_high};
  for (int bit = 0; bit < 64; bit++) {
    if (keep[bit / 32] & (1u << (bit % 32))) continue;
    result = syscall5(__NR_prctl, PR_CAPBSET_DROP, bit, 0, 0, 0);
    if (result == -EINVAL_) break; /* beyond the last capability this kernel knows */
    /* Without CAP_SETPCAP the bounding set stays; PR_SET_NO_NEW_PRIVS below makes that harmless. */
    if (result < 0 && result != -EPERM_) return result;
  }
  syscall5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int i = 0; i < 2; i++) {
    caps.data[i].effective &= keep[i];
    caps.data[i].permitted &= keep[i];
    caps.data[i].inheritable &= keep[i];
  }
  result = syscall3(__NR_capset, &caps.header, caps.data, 0);
  return result < 0 ? result : syscall5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static napi_value verb_drop_capabilities(napi_env env, napi_callback_info info) {
  napi_value values[2];
  uint32_t keep[2];
  if (!read_arguments(env, info, 2, values)) return NULL;
  if (napi_get_value_uint32(env, values[0], &keep[0]) != napi_ok ||
      napi_get_value_uint32(env, values[1], &keep[1]) != napi_ok) {
    napi_throw_type_error(env, NULL, "expected two numbers");
    return NULL;
  }
  return number(env, drop_capabilities(keep[0], keep[1]));
}

static napi_value verb_get_capabilities(napi_env env, napi_callback_info info) {
  (void)info;
  capabilities_t caps;
  napi_value result;
  long outcome = capabilities(&caps);
  if (outcome < 0) return number(env, outcome);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_number(env, result, "effectiveLow", caps.data[0].effective);
  set_number(env, result, "effectiveHigh", caps.data[1].effective);
  set_number(env, result, "permittedLow", caps.data[0].permitted);
  set_number(env, result, "permittedHigh", caps.data[1].permitted);
  return result;
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
    {"dropCapabilities", verb_drop_capabilities},
    {"getCapabilities", verb_get_capabilities},
    {NULL, NULL},
};
