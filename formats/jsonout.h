/* SPDX-License-Identifier: MIT */
/* Writing JSON into a text, member by member. The first failure is kept, and everything after it does nothing. */
#ifndef NB_JSONOUT_H
#define NB_JSONOUT_H

#include "base/text.h"

#include <stdint.h>

typedef struct nb_jsonout {
  nb_text *out;
  nb_err *err;
  nb_status st; /* look at it once, at the end */
  bool comma;   /* a value stands before */
  bool lines;   /* members of the current object start on a line of their own */
} nb_jsonout;

/* key: NULL inside arrays. */
void nb_jsonout_open(nb_jsonout *j, const char *key, char bracket); /* '{' or '[' */
void nb_jsonout_close(nb_jsonout *j, char bracket);                 /* '}' or ']' */
/* What is not UTF-8 in value (or key) becomes U+FFFD. */
void nb_jsonout_string(nb_jsonout *j, const char *key, const char *value);
/* The same for n bytes, which may hold zeros. */
void nb_jsonout_text(nb_jsonout *j, const char *key, const char *value, size_t n);
void nb_jsonout_u64(nb_jsonout *j, const char *key, uint64_t value);
/* With 17 digits, so that it is read back as the same number; NaN and infinities become null. */
void nb_jsonout_double(nb_jsonout *j, const char *key, double value);
/* With as many digits after the point. */
void nb_jsonout_fixed(nb_jsonout *j, const char *key, double value, int digits);
/* With as few digits as are read back as the same double, or the same float; NaN and infinities likewise. */
void nb_jsonout_f64(nb_jsonout *j, const char *key, double value);
void nb_jsonout_f32(nb_jsonout *j, const char *key, float value);
void nb_jsonout_null(nb_jsonout *j, const char *key);
void nb_jsonout_bool(nb_jsonout *j, const char *key, bool value);

#endif
