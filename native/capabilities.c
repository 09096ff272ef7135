/*
 * Capabilities belong to each thread by itself, and Node has several before any script runs. Here they are given up in all:
 * another thread's cannot be set (capset(2) takes the own id only), so each is made to do it by a signal, as the C libraries
 * have setuid(2) done.
 */
#include <linux/capability.h>
#include <linux/prctl.h>

#include "addon.h"

/* The C libraries never let a thread block this one: glibc's SIGSETXID, musl's SIGCANCEL. */
enum { SIGNAL_TO_ALL = 33, SA_RESTORER_ = 0x04000000, SA_RESTART_ = 0x10000000 };
/* A thread that has not done it after so many looks never will: it is stopped by a debugger. */
enum { LOOKS_MAX = 10000, LOOK_NANOSECONDS = 200000, TASKS_BYTES = 4096 };

typedef struct {
  struct __user_cap_header_struct header;
  struct __user_cap_data_struct data[2];
} capabilities_t;

typedef struct {
  uint32_t word[2];
} capability_set_t;

static const capability_set_t NONE;

/* thread 0: the calling one. */
static long capabilities_of(int thread, capabilities_t *result) {
  *result = (capabilities_t){.header = {_LINUX_CAPABILITY_VERSION_3, thread}};
  return syscall3(__NR_capget, &result->header, result->data, 0);
}

static bool has_others(const capabilities_t *caps, capability_set_t keep) {
  for (int i = 0; i < 2; i++)
    if ((caps->data[i].effective | caps->data[i].permitted | caps->data[i].inheritable) & ~keep.word[i]) return true;
  return false;
}

static bool contains(capability_set_t set, int bit) { return set.word[bit / 32] & (1u << (bit % 32)); }

static long drop_bounding(capability_set_t keep) {
  for (int bit = 0; bit < 64; bit++) {
    if (contains(keep, bit)) continue;
    long result = syscall5(__NR_prctl, PR_CAPBSET_DROP, bit, 0, 0, 0);
    if (result == -EINVAL_) return 0; /* beyond the last capability this kernel knows */
    /* Without CAP_SETPCAP the bounding set stays; PR_SET_NO_NEW_PRIVS makes that harmless. */
    if (result < 0 && result != -EPERM_) return result;
  }
  return 0;
}

static long keep_only(capability_set_t keep) {
  capabilities_t caps;
  long result = capabilities_of(0, &caps);
  if (result >= 0) result = drop_bounding(keep);
  if (result < 0) return result;
  syscall5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  /* Where there is nothing to give up capset(2) is not needed, and a service's filter of system calls may forbid it. */
  const bool gives = has_others(&caps, keep);
  for (int i = 0; i < 2; i++) {
    caps.data[i].effective &= keep.word[i];
    caps.data[i].permitted &= keep.word[i];
    caps.data[i].inheritable &= keep.word[i];
  }
  if (gives) result = syscall3(__NR_capset, &caps.header, caps.data, 0);
  return result < 0 ? result : syscall5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* The kernel's, which is the same on both architectures. */
struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

#if defined(__x86_64__)
/* x86-64 has no other way back from a handler than one the program brings along. */
__attribute__((visibility("hidden"))) void subflow_sigreturn(void);
__asm__(".text\n.type subflow_sigreturn, @function\nsubflow_sigreturn:\nmov $15, %eax\nsyscall\n");
static struct kernel_sigaction action_of(void (*handler)(int)) {
  return (struct kernel_sigaction){handler, SA_RESTART_ | SA_RESTORER_, subflow_sigreturn, ~0ull};
}
#else
static struct kernel_sigaction action_of(void (*handler)(int)) {
  return (struct kernel_sigaction){handler, SA_RESTART_, NULL, ~0ull};
}
#endif

static void on_signal(int signal) {
  (void)signal;
  keep_only(NONE);
}

static long set_action(const struct kernel_sigaction *action, struct kernel_sigaction *before) {
  return syscall6(__NR_rt_sigaction, SIGNAL_TO_ALL, (long)action, (long)before, sizeof action->mask, 0, 0);
}

/* A thread that ends meanwhile has nothing left. */
static long make_drop(int process, int thread, capability_set_t keep) {
  capabilities_t caps;
  if (capabilities_of(thread, &caps) < 0 || !has_others(&caps, keep)) return 0;
  if (syscall3(__NR_tgkill, process, thread, SIGNAL_TO_ALL) < 0) return 0;
  const int64_t while_at_it[2] = {0, LOOK_NANOSECONDS};
  for (int look = 0; look < LOOKS_MAX; look++) {
    if (capabilities_of(thread, &caps) < 0 || !has_others(&caps, keep)) return 1;
    syscall3(__NR_nanosleep, while_at_it, 0, 0);
  }
  return -EBUSY_;
}

struct directory_entry { /* linux_dirent64 */
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

static int number_of(const char *digits) {
  int result = 0;
  for (; *digits >= '0' && *digits <= '9'; digits++) result = 10 * result + (*digits - '0');
  return result;
}

/* Goes through the threads once: how many had to be made, or -errno. */
static long look_through(int directory, capability_set_t keep) {
  _Alignas(8) char entries[TASKS_BYTES];
  const int process = (int)syscall3(__NR_getpid, 0, 0, 0), self = (int)syscall3(__NR_gettid, 0, 0, 0);
  long made = 0, length;
  syscall3(__NR_lseek, directory, 0, 0);
  while ((length = syscall3(__NR_getdents64, directory, entries, sizeof entries)) > 0) {
    for (long at = 0; at < length; at += ((struct directory_entry *)(entries + at))->length) {
      const int thread = number_of(((struct directory_entry *)(entries + at))->name);
      if (thread == 0 || thread == self) continue; /* "." and ".." */
      long result = make_drop(process, thread, keep);
      if (result < 0) return result;
      made += result;
    }
  }
  return length < 0 ? length : made;
}

/* Until nobody is found who has more: a thread that had may just have made another. */
static long drop_in_others(capability_set_t keep) {
  long directory = open_path("/proc/self/task", O_RDONLY_);
  if (directory < 0) return directory;
  struct kernel_sigaction ours = action_of(on_signal), before;
  long result = set_action(&ours, &before);
  while (result >= 0 && (result = look_through((int)directory, keep)) > 0) continue;
  /* Whom the signal has yet to reach must find this handler, not what was there before. */
  if (result != -EBUSY_) set_action(&before, NULL);
  close_fd((int)directory);
  return result;
}

long keep_only_capability(int capability) {
  capability_set_t keep = {{0, 0}};
  keep.word[capability / 32] |= 1u << (capability % 32);
  return keep_only(keep);
}

static napi_value verb_drop_capabilities(napi_env env, napi_callback_info info) {
  napi_value values[2];
  capability_set_t keep;
  if (!read_arguments(env, info, 2, values)) return NULL;
  if (napi_get_value_uint32(env, values[0], &keep.word[0]) != napi_ok ||
      napi_get_value_uint32(env, values[1], &keep.word[1]) != napi_ok) {
    napi_throw_type_error(env, NULL, "expected two numbers");
    return NULL;
  }
  /* The own ones first: a thread that is made here from now on has no more than these. */
  long result = keep_only(keep);
  return number(env, result < 0 ? result : drop_in_others(keep));
}

static napi_value verb_get_capabilities(napi_env env, napi_callback_info info) {
  (void)info;
  capabilities_t caps;
  napi_value result;
  long outcome = capabilities_of(0, &caps);
  if (outcome < 0) return number(env, outcome);
  if (napi_create_object(env, &result) != napi_ok) return NULL;
  set_number(env, result, "effectiveLow", caps.data[0].effective);
  set_number(env, result, "effectiveHigh", caps.data[1].effective);
  set_number(env, result, "permittedLow", caps.data[0].permitted);
  set_number(env, result, "permittedHigh", caps.data[1].permitted);
  return result;
}

const verb_t capability_verbs[] = {
    {"dropCapabilities", verb_drop_capabilities},
    {"getCapabilities", verb_get_capabilities},
    {NULL, NULL},
};
