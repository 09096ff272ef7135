/* bpf(2). What it is told, and what a program of its consists of, is none of our business. */
#include "addon.h"

/* Fields that point somewhere hold an offset into the block, and are made addresses for the time of the call. */
static bool relocate(bytes_t attributes, const int32_t *fields, size_t count, bytes_t block, bool back) {
  for (size_t i = 0; i < count; i++) {
    if (fields[i] < 0 || (size_t)fields[i] + sizeof(uint64_t) > attributes.length) return false;
    uint64_t value;
    memcpy(&value, attributes.data + fields[i], sizeof value);
    if (!back && value > block.length) return false;
    value = back ? value - (uint64_t)block.data : value + (uint64_t)block.data;
    memcpy(attributes.data + fields[i], &value, sizeof value);
  }
  return true;
}

static napi_value verb_bpf(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int command;
  bytes_t attributes, block;
  int32_t *fields;
  size_t count;
  if (!read_arguments(env, info, 4, values) || !read_int(env, values[0], &command) ||
      !read_bytes(env, values[1], &attributes) || !read_lengths(env, values[2], &fields, &count) ||
      !read_bytes(env, values[3], &block))
    return NULL;
  /* One field: -1 says that there is none. */
  if (count == 1 && fields[0] == -1) count = 0;
  if (!relocate(attributes, fields, count, block, false)) return number(env, -EINVAL_);
  long result = syscall3(__NR_bpf, command, attributes.data, attributes.length);
  relocate(attributes, fields, count, block, true);
  return number(env, result);
}

const verb_t bpf_verbs[] = {
    {"bpf", verb_bpf},
    {NULL, NULL},
};
