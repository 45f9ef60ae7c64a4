/* SPDX-License-Identifier: MIT */
/* Checks of calls of the public library, whose messages are in `err`. */
#ifndef NB_API_CHECKS_H
#define NB_API_CHECKS_H

#include "test.h"

#include "api/nibble.h"

static nibble_error err;

/* The call succeeds; else the test ends. */
#define CHECK_DONE(call)                                                                                               \
  do {                                                                                                                 \
    nibble_status s_ = (call);                                                                                         \
    CHECK_MSG(s_ == NIBBLE_OK, "%s is %d: %s", #call, (int)s_, err.text);                                              \
    if (s_) return;                                                                                                    \
  } while (0)

/* It fails with this status and a message that has `part`. */
#define CHECK_FAILS(status, part, call)                                                                                \
  do {                                                                                                                 \
    nibble_status s_ = (call);                                                                                         \
    CHECK_MSG(s_ == (status), "%s is %d: %s", #call, (int)s_, s_ ? err.text : "");                                     \
    CHECK_MSG(strstr(err.text, part), "\"%s\" has no \"%s\"", err.text, part);                                         \
  } while (0)

#endif
