/* Registration, arguments, results. Verbs return a value >= 0 or -errno, and throw only for arguments of the wrong type. */
#include "addon.h"

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given >= count) return true;
  napi_throw_type_error(env, NULL, "too few arguments");
  return false;
}

bool read_int(napi_env env, napi_value value, int *result) {
  if (napi_get_value_int32(env, value, result) == napi_ok) return true;
  napi_throw_type_error(env, NULL, "expected a number");
  return false;
}

bool read_bytes(napi_env env, napi_value value, bytes_t *result) {
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, &result->length, &data, NULL, NULL) == napi_ok &&
      type == napi_uint8_array) {
    result->data = data;
    return true;
  }
  napi_throw_type_error(env, NULL, "expected a Uint8Array");
  return false;
}

bool read_lengths(napi_env env, napi_value value, int32_t **result, size_t *count) {
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(env, value, &type, count, &data, NULL, NULL) == napi_ok && type == napi_int32_array &&
      *count > 0) {
    *result = data;
    return true;
  }
  napi_throw_type_error(env, NULL, "expected an Int32Array with at least one element");
  return false;
}

bool read_path(napi_env env, napi_value value, char *result, size_t size) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, result, size, &length) == napi_ok && length + 1 < size) return true;
  napi_throw_type_error(env, NULL, "expected a path, not longer than the kernel takes");
  return false;
}

napi_value number(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

void set_number(napi_env env, napi_value object, const char *name, double value) {
  napi_set_named_property(env, object, name, number(env, value));
}

static void add_verbs(napi_env env, napi_value exports, const verb_t *verbs) {
  for (; verbs->name; verbs++) {
    napi_value function;
    if (napi_create_function(env, verbs->name, NAPI_AUTO_LENGTH, verbs->run, NULL, &function) == napi_ok)
      napi_set_named_property(env, exports, verbs->name, function);
  }
}

NAPI_MODULE_INIT() {
  add_verbs(env, exports, netlink_verbs);
  add_verbs(env, exports, socket_verbs);
  add_verbs(env, exports, watch_verbs);
  add_verbs(env, exports, process_verbs);
  add_verbs(env, exports, capability_verbs);
  add_verbs(env, exports, bpf_verbs);
  return exports;
}
