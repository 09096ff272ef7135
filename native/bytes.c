#include "bytes.h"

void *memset(void *target, int value, size_t length) {
  for (size_t i = 0; i < length; i++) ((volatile uint8_t *)target)[i] = (uint8_t)value;
  return target;
}

void *memcpy(void *target, const void *source, size_t length) {
  for (size_t i = 0; i < length; i++) ((volatile uint8_t *)target)[i] = ((const uint8_t *)source)[i];
  return target;
}
