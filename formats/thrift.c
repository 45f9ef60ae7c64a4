/* SPDX-License-Identifier: MIT */
#include "formats/thrift.h"

enum { SKIP_DEPTH = 32 };

static uint8_t byte(nb_thrift *t) {
  if (t->failed || t->p == t->end) return t->failed = true, 0;
  return *t->p++;
}

static uint64_t varint(nb_thrift *t) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t b = byte(t);
    v |= (uint64_t)(b & 127) << shift;
    if (!(b & 128)) return v;
  }
  return t->failed = true, 0;
}

static int64_t zigzag(nb_thrift *t) {
  uint64_t v = varint(t);
  return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool nb_thrift_next(nb_thrift *t, nb_thrift_field *f) {
  uint8_t b = byte(t);
  if (t->failed || !b) return false;
  if ((b & 15) > NB_THRIFT_STRUCT) return t->failed = true, false;
  f->type = (nb_thrift_type)(b & 15);
  int64_t id = b >> 4 ? f->id + (b >> 4) : zigzag(t);
  if (id < INT16_MIN || id > INT16_MAX || f->type == NB_THRIFT_STOP) t->failed = true;
  f->id = (int16_t)id;
  return !t->failed;
}

int64_t nb_thrift_int(nb_thrift *t, const nb_thrift_field *f) {
  if (f->type == NB_THRIFT_I8) return (int8_t)byte(t);
  if (f->type < NB_THRIFT_I16 || f->type > NB_THRIFT_I64) return t->failed = true, 0;
  int64_t v = zigzag(t);
  return t->failed ? 0 : v;
}

bool nb_thrift_bool(nb_thrift *t, const nb_thrift_field *f) {
  if (f->type != NB_THRIFT_TRUE && f->type != NB_THRIFT_FALSE) t->failed = true;
  return f->type == NB_THRIFT_TRUE;
}

const uint8_t *nb_thrift_bytes(nb_thrift *t, const nb_thrift_field *f, size_t *n) {
  uint64_t size = f->type == NB_THRIFT_BYTES ? varint(t) : 0;
  if (f->type != NB_THRIFT_BYTES || size > (uint64_t)(t->end - t->p)) t->failed = true;
  if (t->failed) return *n = 0, NULL;
  *n = (size_t)size;
  t->p += size;
  return t->p - size;
}

bool nb_thrift_struct(nb_thrift *t, const nb_thrift_field *f) {
  if (f->type != NB_THRIFT_STRUCT) t->failed = true;
  return !t->failed;
}

size_t nb_thrift_list(nb_thrift *t, const nb_thrift_field *f, nb_thrift_field *element) {
  *element = (nb_thrift_field){0};
  if (f->type != NB_THRIFT_LIST && f->type != NB_THRIFT_SET) t->failed = true;
  uint8_t head = byte(t);
  uint64_t n = head >> 4;
  if (n == 15) n = varint(t);
  if ((head & 15) > NB_THRIFT_STRUCT || !(head & 15)) t->failed = true;
  if (t->failed || n > (uint64_t)(t->end - t->p)) return t->failed = true, 0;
  element->type = (nb_thrift_type)(head & 15);
  return (size_t)n;
}

/* inside: an element of a list, where a truth value is a byte. */
static void skip(nb_thrift *t, const nb_thrift_field *f, bool inside, int depth) {
  size_t n;
  nb_thrift_field e = {0};
  if (depth > SKIP_DEPTH) t->failed = true;
  if (t->failed) return;
  switch (f->type) {
  case NB_THRIFT_STOP: t->failed = true; break;
  case NB_THRIFT_TRUE:
  case NB_THRIFT_FALSE:
    if (inside) byte(t);
    break;
  case NB_THRIFT_I8: byte(t); break;
  case NB_THRIFT_I16:
  case NB_THRIFT_I32:
  case NB_THRIFT_I64: varint(t); break;
  case NB_THRIFT_DOUBLE:
    for (int i = 0; i < 8; i++) byte(t);
    break;
  case NB_THRIFT_BYTES: nb_thrift_bytes(t, f, &n); break;
  case NB_THRIFT_LIST:
  case NB_THRIFT_SET:
    n = nb_thrift_list(t, f, &e);
    for (size_t i = 0; i < n && !t->failed; i++) skip(t, &e, true, depth + 1);
    break;
  case NB_THRIFT_MAP: {
    uint64_t pairs = varint(t);
    uint8_t types = pairs ? byte(t) : 0;
    nb_thrift_field k = {0, (nb_thrift_type)(types >> 4)}, v = {0, (nb_thrift_type)(types & 15)};
    if ((types >> 4) > NB_THRIFT_STRUCT || (types & 15) > NB_THRIFT_STRUCT) t->failed = true;
    for (uint64_t i = 0; i < pairs && !t->failed; i++) skip(t, &k, true, depth + 1), skip(t, &v, true, depth + 1);
    break;
  }
  case NB_THRIFT_STRUCT:
    while (nb_thrift_next(t, &e)) skip(t, &e, false, depth + 1);
    break;
  }
}

void nb_thrift_skip(nb_thrift *t, const nb_thrift_field *f) { skip(t, f, false, 0); }
