/*
 * Watching a socket: an answer thread (answerer.c) receives, and the event loop calls back with what it hands over. Promises
 * that the callback resolves continue before the loop goes on (napi_make_callback).
 */
#include "addon.h"
#include "answerer.h"

/* The part of libuv's version 1 ABI that is used, besides threads; the loader refuses any other major version. */
typedef struct uv_async_s uv_async_t;
typedef struct uv_handle_s uv_handle_t;
extern size_t uv_handle_size(int type);
extern void *uv_handle_get_data(const uv_handle_t *handle);
extern void uv_handle_set_data(uv_handle_t *handle, void *data);
extern int uv_async_init(struct uv_loop_s *loop, uv_async_t *handle, void (*callback)(uv_async_t *));
extern int uv_async_send(uv_async_t *handle);
extern void uv_close(uv_handle_t *handle, void (*callback)(uv_handle_t *));
extern void uv_ref(uv_handle_t *handle);
extern void uv_unref(uv_handle_t *handle);
enum { UV_ASYNC_ = 1, ASYNC_SIZE_MAX = 512, ROUNDS_MAX = 16, WATCH_MAGIC = 0x5b0f10e5, CAP_NET_ADMIN_ = 12 };

typedef struct {
  unsigned magic;
  bool open;
  bool calls_back; /* a callback may ask for what it is being told of */
  int owners;      /* the JavaScript handle, and libuv until its close callback */
  napi_env env;
  answerer_t *answerer;
  uint8_t *slab;
  napi_ref slab_reference;
  napi_ref callback;
  napi_async_cleanup_hook_handle cleanup;
  _Alignas(16) uint8_t async[ASYNC_SIZE_MAX];
} watch_t;

static void release(watch_t *watch) {
  if (--watch->owners == 0) give_back(watch, sizeof *watch);
}

static void closed(uv_handle_t *handle) {
  watch_t *watch = uv_handle_get_data(handle);
  if (watch->cleanup) napi_remove_async_cleanup_hook(watch->cleanup);
  release(watch);
}

static void stop(watch_t *watch) {
  if (!watch->open) return;
  watch->open = false;
  if (watch->answerer) answerer_stop(watch->answerer);
  watch->answerer = NULL;
  napi_delete_reference(watch->env, watch->slab_reference);
  napi_delete_reference(watch->env, watch->callback);
  uv_close((uv_handle_t *)watch->async, closed);
}

/* The environment ends (a worker, or the process): libuv's handle must be closed before its loop. */
static void environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  watch_t *watch = data;
  if (!watch->open) return; /* closing already; `closed` removes the hook */
  watch->cleanup = hook;
  stop(watch);
}

static void call_back(watch_t *watch, bytes_t records) {
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver;
  size_t from = (size_t)(records.data - watch->slab);
  napi_value arguments[] = {number(env, (double)from), number(env, (double)(from + records.length))};
  if (napi_get_reference_value(env, watch->callback, &callback) == napi_ok) {
    napi_get_global(env, &receiver);
    napi_value error;
    if (napi_make_callback(env, NULL, receiver, callback, 2, arguments, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/* Calls back with what there is; bounded, so that a flood cannot starve the rest of the loop. */
static void deliver(watch_t *watch) {
  if (watch->calls_back) return;
  watch->calls_back = true;
  int round = 0;
  for (; watch->open && round < ROUNDS_MAX; round++) {
    bytes_t records = answerer_take(watch->answerer);
    if (records.length == 0) break;
    call_back(watch, records);
  }
  watch->calls_back = false;
  if (watch->open && round == ROUNDS_MAX) uv_async_send((uv_async_t *)watch->async);
}

static void on_async(uv_async_t *handle) { deliver(uv_handle_get_data((uv_handle_t *)handle)); }

/* Commands to netlink are all that an answer thread may ever need a right for. */
static void thread_begins(void) { keep_only_capability(CAP_NET_ADMIN_); }

static void thread_wakes(void *context) { uv_async_send(context); }

static void finalize(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  watch_t *watch = data;
  /* Collected while open: the loop goes on serving the callback, which is what a caller that dropped the handle asked for. */
  release(watch);
}

static long start(napi_env env, watch_t *watch, const answerer_options_t *options, napi_value slab, napi_value callback) {
  struct uv_loop_s *loop;
  uv_async_t *async = (uv_async_t *)watch->async;
  if (uv_handle_size(UV_ASYNC_) > ASYNC_SIZE_MAX || napi_get_uv_event_loop(env, &loop) != napi_ok) return -EINVAL_;
  int result = uv_async_init(loop, async, on_async); /* libuv's error numbers are negative errnos on Linux */
  if (result < 0) return result;
  uv_handle_set_data((uv_handle_t *)async, watch);
  watch->open = true;
  watch->owners++;
  napi_create_reference(env, slab, 1, &watch->slab_reference);
  napi_create_reference(env, callback, 1, &watch->callback);
  napi_add_async_cleanup_hook(env, environment_ends, watch, &watch->cleanup);
  return answerer_start(&watch->answerer, options);
}

static napi_value verb_watch(napi_env env, napi_callback_info info) {
  napi_value values[4], handle;
  answerer_options_t options = {.begins = thread_begins, .wakes = thread_wakes};
  int spins;
  napi_valuetype type;
  if (!read_arguments(env, info, 4, values) || !read_int(env, values[0], &options.fd) ||
      !read_bytes(env, values[1], &options.room) || !read_int(env, values[3], &spins))
    return NULL;
  if (napi_typeof(env, values[2], &type) != napi_ok || type != napi_function) {
    napi_throw_type_error(env, NULL, "expected a function");
    return NULL;
  }
  watch_t *watch = allocate(sizeof *watch);
  if (!watch) return number(env, -ENOMEM_);
  watch->magic = WATCH_MAGIC;
  watch->owners = 1;
  watch->env = env;
  watch->slab = options.room.data;
  options.spins = spins != 0;
  options.context = watch->async;
  long result = start(env, watch, &options, values[1], values[2]);
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
  if (watch->open) uv_ref((uv_handle_t *)watch->async);
  return number(env, 0);
}

static napi_value verb_unref(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  if (watch->open) uv_unref((uv_handle_t *)watch->async);
  return number(env, 0);
}

static napi_value verb_prepare(napi_env env, napi_callback_info info) {
  napi_value values[9];
  watch_t *watch;
  answer_request_t request;
  int32_t *copies;
  if (!read_arguments(env, info, 9, values) || !(watch = watch_of(env, values[0])) ||
      !read_int(env, values[1], &request.slot) || !read_int(env, values[2], &request.fd) ||
      !read_bytes(env, values[3], &request.pattern) || !read_bytes(env, values[4], &request.mask) ||
      !read_bytes(env, values[5], &request.answer) || !read_lengths(env, values[6], &copies, &request.copies_length) ||
      !read_int(env, values[7], &request.id) || !read_int(env, values[8], &request.flags))
    return NULL;
  request.copies = copies;
  return number(env, watch->open ? answers_prepare(answerer_answers(watch->answerer), &request) : -EINVAL_);
}

static napi_value verb_withdraw(napi_env env, napi_callback_info info) {
  napi_value values[2];
  watch_t *watch;
  int slot;
  if (!read_arguments(env, info, 2, values) || !(watch = watch_of(env, values[0])) || !read_int(env, values[1], &slot))
    return NULL;
  if (watch->open) answers_withdraw(answerer_answers(watch->answerer), slot);
  return number(env, 0);
}

static napi_value verb_release(napi_env env, napi_callback_info info) {
  watch_t *watch = read_watch(env, info);
  if (!watch) return NULL;
  deliver(watch);
  return number(env, 0);
}

const verb_t watch_verbs[] = {
    {"watch", verb_watch},     {"unwatch", verb_unwatch},   {"ref", verb_ref},         {"unref", verb_unref},
    {"prepare", verb_prepare}, {"withdraw", verb_withdraw}, {"release", verb_release}, {NULL, NULL},
};
