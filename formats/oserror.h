/* SPDX-License-Identifier: MIT */
/* Messages for what the operating system refuses. */
#ifndef NB_OSERROR_H
#define NB_OSERROR_H

#include "base/status.h"

/* NB_ERR_IO (NB_ERR_MEMORY for ENOMEM) with "PATH: cannot DOING: reason", and what to do about it where
 * that is known. `errnum` is errno's value. */
nb_status nb_oserror_fail(nb_err *err, int errnum, const char *path, const char *doing);

#endif
