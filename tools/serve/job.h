/* SPDX-License-Identifier: MIT */
/* From a request to what the worker runs: templates, token ids, limits. */
#ifndef NB_SERVE_JOB_H
#define NB_SERVE_JOB_H

#include "tools/serve/worker.h"
#include "tools/serve/request.h"

/* Makes the job of a request for a model, in `context` positions; seed: where the request names none. The job does not
 * borrow from the request. NB_ERR_ARG and the like say what is wrong; *too_long: a prompt does not fit. */
nb_status serve_job_make(const nb_opened *m, const serve_request *r, size_t context, uint64_t seed, serve_job **out,
                         bool *too_long, nb_err *err);

#endif
