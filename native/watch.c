/*
 * Readiness: a file descriptor watched by the event loop. When it becomes readable, datagrams are received and the callback
 * runs in the same turn of the loop; promises it resolves continue before the loop goes on (napi_make_callback).
 */
#include "answer.h"

/* The part of libuv's version 1 ABI that is used; the loader refuses any other major version. */
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
extern size_t uv_handle_size(int type);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int fd);
extern int uv_poll_start(uv_poll_t *handle, int events, void (*callback)(uv_poll_t *, int, int));
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
enum { UV_POLL_ = 8, UV_READABLE_ = 1 };

enum { PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22 };
enum { POLL_SIZE_MAX = 512, ROUNDS_MAX = 16, SLOTS_AT_FIRST = 4, WATCH_MAGIC = 0x5b0f10e5 };

typedef struct {
  unsigned magic;
  bool open;
  int owners; /* the JavaScript handle, and libuv until its close callback */
  int fd;
  napi_env env;
  /* Of the typed arrays that the references keep: asking for them again would cost as much as answering. */
  bytes_t slab;
  int32_t *lengths;
  size_t slots;
  napi_ref slab_reference;
  napi_ref lengths_reference;
  napi_ref callback;
  long held; /* datagrams at the slab's beginning that JavaScript has not heard of yet */
  answers_t *answers; /* NULL: none was ever prepared */
  napi_async_cleanup_hook_handle cleanup;
  _Alignas(16) uint8_t poll[POLL_SIZE_MAX];
} watch_t;

static void release(watch_t *watch) {
  if (--watch->owners > 0) return;
  answers_release(watch->answers);
  syscall3(__NR_munmap, watch, sizeof *watch, 0);
}

static void closed(uv_handle_t *handle) {
  watch_t *watch = uv_handle_get_data(handle);
  if (watch->cleanup) napi_remove_async_cleanup_hook(watch->cleanup);
  release(watch);
}

static void stop(watch_t *watch) {
  if (!watch->open) return;
  watch->open = false;
  napi_delete_reference(watch->env, watch->slab_reference);
  napi_delete_reference(watch->env, watch->lengths_reference);
  napi_delete_reference(watch->env, watch->callback);
  uv_close((uv_handle_t *)watch->poll, closed);
}

/* The environment ends (a worker, or the process): libuv's handle must be closed before its loop. */
static void environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  watch_t *watch = data;
  if (!watch->open) return; /* closing already; `closed` removes the hook */
  watch->cleanup = hook;
  stop(watch);
}

static void call_back(watch_t *watch, long count, unsigned answered) {
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, arguments[] = {number(env, (double)count), number(env, answered)};
  if (napi_get_reference_value(env, watch->callback, &callback) == napi_ok) {
    napi_get_global(env, &receiver);
    napi_value error;
    if (napi_make_callback(env, NULL, receiver, callback, 2, arguments, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* Hands over what was held back. */
static void release_held(watch_t *watch) {
  long held = watch->held;
  watch->held = 0;
  if (held > 0) call_back(watch, held, 0);
}

static batch_t batch_of(const watch_t *watch, long first, long count) {
  size_t slot = watch->slab.length / watch->slots;
  return (batch_t){watch->slab.data + first * slot, slot, watch->lengths + first, count};
}

/* Behind what is held back; few at first, for what is set up for many is more than one datagram takes to be answered. */
static long receive_some(watch_t *watch, size_t most) {
  size_t free = watch->slots - (size_t)watch->held;
  if (most > free) most = free;
  batch_t room = batch_of(watch, watch->held, 0);
  return receive_now(watch->fd, (bytes_t){room.slab, most * room.slot}, watch->lengths + watch->held, most);
}

/* Receives, answers what is prepared, and hands over all, unless that can wait. True when there was something: more may have
 * come meanwhile, and asking costs less than another turn of the loop. */
static bool deliver(watch_t *watch, size_t most) {
  long count = receive_some(watch, most);
  if (count == -EAGAIN_) return false;
  if (count < 0) {
    release_held(watch);
    if (watch->open) call_back(watch, count, 0);
    return watch->open && count == -ENOBUFS_;
  }
  batch_t news = batch_of(watch, watch->held, count);
  watch->held += count;
  if (answers_can_wait(watch->answers, &news) && (size_t)watch->held <= watch->slots / 2) return true;
  batch_t all = batch_of(watch, 0, watch->held);
  unsigned answered = answers_give(watch->answers, &all);
  watch->held = 0;
  call_back(watch, all.count, answered);
  return watch->open;
}

static void readable(uv_poll_t *handle, int status, int events) {
  (void)events;
  watch_t *watch = uv_handle_get_data((uv_handle_t *)handle);
  /* Bounded, so that a flood cannot starve the rest of the loop; what is left wakes us again at once. */
  for (int round = 0; round < ROUNDS_MAX && deliver(watch, round == 0 ? SLOTS_AT_FIRST : watch->slots); round++) continue;
  /* libuv stops a poll handle when it sees POLLERR, and an overrun of netlink is one: start it again or be deaf for ever. */
  if (status < 0 && watch->open) uv_poll_start(handle, UV_READABLE_, readable);
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  watch_t *watch = data;
  /* Collected while open: the loop goes on serving the callback, which is what a caller that dropped the handle asked for. */
  release(watch);
}

static long start(napi_env env, watch_t *watch, napi_value *values) {
  struct uv_loop_s *loop;
  uv_poll_t *poll = (uv_poll_t *)watch->poll;
  if (uv_handle_size(UV_POLL_) > POLL_SIZE_MAX || napi_get_uv_event_loop(env, &loop) != napi_ok) return -EINVAL_;
  int result = uv_poll_init(loop, poll, watch->fd); /* libuv's error numbers are negative errnos on Linux */
  if (result < 0) return result;
  uv_handle_set_data((uv_handle_t *)poll, watch);
  watch->open = true;
  watch->owners++;
  napi_create_reference(env, values[1], 1, &watch->slab_reference);
  napi_create_reference(env, values[2], 1, &watch->lengths_reference);
  napi_create_reference(env, values[3], 1, &watch->callback);
  napi_add_async_cleanup_hook(env, environment_ends, watch, &watch->cleanup);
  result = uv_poll_start(poll, UV_READABLE_, readable);
  if (result < 0) stop(watch);
  return result;
}

static napi_value verb_watch(napi_env env, napi_callback_info info) {
  napi_value values[4], handle;
  int fd;
  bytes_t slab;
  int32_t *lengths;
  size_t slots;
  napi_valuetype type;
  if (!read_arguments(env, info, 4, values) || !read_int(env, values[0], &fd) || !read_bytes(env, values[1], &slab) ||
      !read_lengths(env, values[2], &lengths, &slots))
    return NULL;
  if (napi_typeof(env, values[3], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, NULL, "expected a function");
    return NULL;
  }
  long memory = syscall6(__NR_mmap, 0, sizeof(watch_t), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  if (memory < 0 && memory > -4096) return number(env, memory);
  watch_t *watch = (watch_t *)memory;
  watch->magic = WATCH_MAGIC;
  watch->owners = 1;
  watch->fd = fd;
  watch->slab = slab;
  watch->lengths = lengths;
  watch->slots = slots;
  watch->env = env;
  long result = start(env, watch, values);
  if (result < 0 || napi_create_external(env, watch, finalize, NULL, &handle) != napi_ok) {
    stop(watch);
    release(watch);
    return number(env, result < 0 ? result : -ENOMEM_);
  }
  return handle;
}

static watch_t *watch_of(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) == napi_ok && ((watch_t *)data)->magic == WATCH_MAGIC) return data;
  napi_throw_type_error(env, NULL, "expected what watch() returned");
  return NULL;
}

static watch_t *read_watch(napi_env env, napi_callback_info info) {
  napi_value value;
  return read_arguments(env, info, 1, &value) ? watch_of(env, value) : NULL;
}

static napi_value verb_unwatch(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  stop(watch);
  return number(env, 0);
}

static napi_value verb_ref(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  if (watch->open) uv_ref((uv_handle_t *)watch->poll);
  return number(env, 0);
}

static napi_value verb_unref(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  if (watch->open) uv_unref((uv_handle_t *)watch->poll);
  return number(env, 0);
}

static napi_value verb_prepare(napi_env env, napi_callback_info info) {
  napi_value values[8];
  watch_t *watch;
  answer_request_t request;
  int32_t *copies;
  if (!read_arguments(env, info, 8, values) || !(watch = watch_of(env, values[0])) ||
      !read_int(env, values[1], &request.slot) || !read_int(env, values[2], &request.fd) ||
      !read_bytes(env, values[3], &request.pattern) || !read_bytes(env, values[4], &request.mask) ||
      !read_bytes(env, values[5], &request.answer) || !read_lengths(env, values[6], &copies, &request.copies_length) ||
      !read_int(env, values[7], &request.once))
    return NULL;
  request.copies = copies;
  return number(env, answers_prepare(&watch->answers, &request));
}

static napi_value verb_withdraw(napi_env env, napi_callback_info info) {
  napi_value values[2];
  watch_t *watch;
  int slot;
  if (!read_arguments(env, info, 2, values) || !(watch = watch_of(env, values[0])) || !read_int(env, values[1], &slot))
    return NULL;
  answers_withdraw(watch->answers, slot);
  return number(env, 0);
}

static napi_value verb_answered(napi_env env, napi_callback_info info) {
  napi_value values[2];
  watch_t *watch;
  int32_t *pairs;
  size_t room;
  if (!read_arguments(env, info, 2, values) || !(watch = watch_of(env, values[0])) ||
      !read_lengths(env, values[1], &pairs, &room))
    return NULL;
  return number(env, answers_given(watch->answers, pairs, room));
}

static napi_value verb_release(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  if (watch->open) release_held(watch);
  return number(env, 0);
}

const verb_t watch_verbs[] = {
    {"watch", verb_watch},     {"unwatch", verb_unwatch},   {"ref", verb_ref},           {"unref", verb_unref},
    {"prepare", verb_prepare}, {"withdraw", verb_withdraw}, {"answered", verb_answered}, {"release", verb_release},
    {NULL, NULL},
};
