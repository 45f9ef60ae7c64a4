/* SPDX-License-Identifier: MIT */
/* Status codes and error messages. Every function that can fail returns nb_status and takes an
 * nb_err* as its last argument; the message names the file, the tensor or line, and what to do. */
#ifndef NB_STATUS_H
#define NB_STATUS_H

typedef enum nb_status {
  NB_OK = 0,
  NB_ERR_IO,          /* the operating system refused: open, read, write, map */
  NB_ERR_FORMAT,      /* the bytes of a file are not what they should be */
  NB_ERR_UNSUPPORTED, /* well-formed, but not something nibble can do */
  NB_ERR_MEMORY,      /* an allocation failed */
  NB_ERR_ARG,         /* a caller's or user's argument is wrong (exit code 2) */
  NB_ERR_NUMERIC,     /* NaN or Inf where a number is needed */
  NB_ERR_INTERRUPTED, /* the user asked to stop */
  NB_ERR_GATE         /* a quality gate failed (exit code 3) */
} nb_status;

/* A message buffer. The caller owns it; it need not be initialised. NULL is accepted everywhere. */
typedef struct nb_err {
  char msg[512];
} nb_err;

/* Replaces control characters, but those in keep, by '?': what is shown may quote names from hostile files, and nothing
 * in them may steer a terminal. */
void nb_status_printable(char *s, const char *keep);

/* Writes the formatted message to err (truncated to fit, control characters but newline and tab replaced by
 * '?') and returns code. */
nb_status nb_fail(nb_err *err, nb_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that err holds already, and returns code. */
nb_status nb_fail_in(nb_err *err, nb_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The process exit code for a status: 0, 1 (failure), 2 (usage) or 3 (gate). */
int nb_status_exit_code(nb_status s);

/* Forwards a failure to the caller. */
#define NB_TRY(expr)                                                                                                   \
  do {                                                                                                                 \
    nb_status nb_try_ = (expr);                                                                                        \
    if (nb_try_ != NB_OK) return nb_try_;                                                                              \
  } while (0)

/* Stores the status in a variable `st` and jumps to the label `fail` when it is not NB_OK. */
#define NB_GOTO(expr)                                                                                                  \
  do {                                                                                                                 \
    st = (expr);                                                                                                       \
    if (st != NB_OK) goto fail;                                                                                        \
  } while (0)

#endif
