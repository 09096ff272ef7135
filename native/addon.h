/* What the files of the addon share: reading arguments, returning results, and each file's verbs. */
#ifndef SUBFLOW_ADDON_H
#define SUBFLOW_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>

#include "bytes.h"

/* Each reader throws a TypeError and returns false when the argument is of another type. */
bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool read_int(napi_env env, napi_value value, int *result);
bool read_bytes(napi_env env, napi_value value, bytes_t *result);
bool read_lengths(napi_env env, napi_value value, int32_t **result, size_t *count);
bool read_path(napi_env env, napi_value value, char *result, size_t size);

napi_value number(napi_env env, double value);
void set_number(napi_env env, napi_value object, const char *name, double value);

/*
 * Runs one system call in another network namespace (netns_fd >= 0) or where the thread is (-1). The thread is back in its
 * own namespace when this returns; if the way back fails the process ends, for nothing it did afterwards could be trusted.
 */
long in_namespace(int netns_fd, long (*call)(void *context), void *context);

/* Gives up every other one, in the calling thread and for good: a number of linux/capability.h. */
long keep_only_capability(int capability);

typedef struct {
  const char *name;
  napi_callback run;
} verb_t;

extern const verb_t netlink_verbs[];
extern const verb_t socket_verbs[];
extern const verb_t watch_verbs[];
extern const verb_t process_verbs[];
extern const verb_t capability_verbs[];
extern const verb_t bpf_verbs[];

#endif
