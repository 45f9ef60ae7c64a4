/* SPDX-License-Identifier: MIT */
/* What a file is that was given for a run's result and is none. */
#ifndef NB_RESULT_OTHER_H
#define NB_RESULT_OTHER_H

#include "base/status.h"

#include <cJSON.h>
#include <stddef.h>

/* By its first bytes, before it is taken for JSON; root NULL. By its members when root is not. A sentence with what to
 * give instead, or NULL: nothing known. */
const char *nb_result_other(const char *bytes, size_t n, const cJSON *root);

#endif
