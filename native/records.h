/* Records that the answer thread writes and JavaScript reads: what was received, and what was done about it; in order. */
#ifndef SUBFLOW_RECORDS_H
#define SUBFLOW_RECORDS_H

#include "bytes.h"

/* Before each record's bytes, which are filled up to a multiple of 8. */
typedef struct {
  uint32_t length; /* of the bytes, without what fills them up */
  uint32_t kind;
  uint32_t number;
  uint32_t back; /* of an answer or a reply: how many bytes before this one the datagram's record begins */
} record_t;

/* number: the datagram's real length; of an answer and a reply, the answer's id; nothing; the errno. */
enum { RECORD_DATAGRAM, RECORD_ANSWER, RECORD_REPLY, RECORD_OVERRUN, RECORD_ERROR };

typedef struct {
  uint8_t *data;
  size_t room;
  size_t length;
} records_t;

static inline size_t record_size(size_t length) { return sizeof(record_t) + ((length + 7) & ~(size_t)7); }

static inline bool records_have_room(const records_t *records, size_t size) {
  return records->room - records->length >= size;
}

/* There is room for it. `bytes` may be where they belong already. Returns where the record begins. */
static inline size_t records_add(records_t *records, record_t record, const uint8_t *bytes) {
  size_t at = records->length;
  uint8_t *place = records->data + at;
  *(record_t *)place = record;
  if (bytes != place + sizeof record && record.length > 0) memcpy(place + sizeof record, bytes, record.length);
  records->length += record_size(record.length);
  return at;
}

#endif
