/* SPDX-License-Identifier: MIT */
/* Where calibration tokens come from. */
#ifndef NB_CALIB_TEXT_H
#define NB_CALIB_TEXT_H

#include "cli.h"
#include "open.h"

/* Fills ids with up to `tokens` ids. source: a text file; a .jsonl or .json file of chats ("messages" or
 * "conversations": role and content), rendered by the model's own template; or "self": sequences of seq tokens that the
 * model writes itself, from its begin token or a random one, at temperature 1 (LLM-QAT, arXiv 2305.17888), which takes
 * as long as generating them does. */
nb_status calib_text_read(const char *source, const nb_opened *m, size_t tokens, size_t seq, uint64_t seed,
                          const cli_common *common, nb_ids *ids, nb_err *err);

#endif
