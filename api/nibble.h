/* SPDX-License-Identifier: MIT */
/* libnibble: runs and quantizes models in a program of yours. Link with `pkg-config --libs nibble`.
 *
 *   nibble_error err;
 *   nibble_model *m;
 *   if (nibble_open("phi3.nbl", NULL, &m, &err)) { fprintf(stderr, "%s\n", err.text); return 1; }
 *
 * A model is used by one thread at a time (it starts its own for the arithmetic), but for the functions that take it
 * as const: any number of threads may call those at any time. For several threads open the file several times: its
 * weights are mapped and stay once in memory. Nothing here prints, exits or keeps global state. The same input gives
 * the same result for any number of threads and on every instruction set.
 *
 * Text is UTF-8 of a given length in bytes. Functions return NIBBLE_OK (0) or a reason, with a message in *err, which
 * may be NULL. Memory that a function hands out is released with nibble_free. */
#ifndef NIBBLE_H
#define NIBBLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIBBLE_API __attribute__((visibility("default")))

typedef enum nibble_status {
  NIBBLE_OK = 0,
  NIBBLE_ERROR_IO,          /* the operating system refused: open, read, map */
  NIBBLE_ERROR_FORMAT,      /* the file is damaged */
  NIBBLE_ERROR_UNSUPPORTED, /* a model or a template that nibble does not know */
  NIBBLE_ERROR_MEMORY,
  NIBBLE_ERROR_ARGUMENT, /* yours: a token id or a length out of range, text too long for the model */
  NIBBLE_ERROR_NUMERIC,  /* the weights gave a NaN */
  NIBBLE_STOPPED         /* your callback asked to stop */
} nibble_status;

typedef struct nibble_error {
  char text[512]; /* one line, NUL-terminated; says which file and what to do */
} nibble_error;

typedef struct nibble_model nibble_model;

/* "0.1.0" */
NIBBLE_API const char *nibble_version(void);

/* How the threads that the library starts stand beside others. Where the system does not let them have it (a process
 * may lower its threads' priority and not raise it again), they stay as they are. The calling thread is yours and is
 * never changed. */
typedef enum nibble_priority {
  NIBBLE_PRIORITY_SAME = 0,   /* as the calling thread's */
  NIBBLE_PRIORITY_HIGH,       /* someone waits: nice -4; on Apple's systems QoS user-initiated */
  NIBBLE_PRIORITY_LOW,        /* beside other work: nice 10; QoS utility */
  NIBBLE_PRIORITY_BACKGROUND, /* when nothing else runs: nice 19; QoS background (on little cores) */
} nibble_priority;

/* Set size, and leave what you do not need zero: that is the default, as are no options. A field that a later version
 * adds comes at the end; a program built before it gets that field's default. */
typedef struct nibble_options {
  size_t size;     /* sizeof(nibble_options) */
  int threads;     /* 0: all processors of this process. On a phone the fast cores only: nibble_cores */
  int verify;      /* 1: check every tensor's checksum first (reads the whole file) */
  size_t batch;    /* tokens of a forward pass at most: workspace against speed. 0: 512, fewer for wide models */
  const char *kv;  /* the attention cache: "f32", "f16", "q16" or "q8". NULL: q8 for .nbl files, f32 for checkpoints */
  const char *cpu; /* use no instruction set above this: "ref", "avx2", ... NULL: the best */

  /* Bytes that the model and all of its sessions may hold of their own (nibble_fit says what counts). What would pass
   * it fails with NIBBLE_ERROR_MEMORY before anything is allocated, and says what would fit. 0: no limit. */
  uint64_t memory_limit;
  nibble_priority priority;
  /* Receives what a person should know, a line at a time without a line end: what the files hold and the model does not
   * use, what was opened. From the calling thread, while nibble_open runs. NULL: none. */
  void (*log)(void *ctx, const char *line);
  void *ctx;
} nibble_options;

/* Opens a .nbl file, the first part of one (`nibble split`) whose other parts lie beside it, or the directory of a
 * Hugging Face checkpoint. */
NIBBLE_API nibble_status nibble_open(const char *path, const nibble_options *options, nibble_model **out,
                                     nibble_error *err);
/* Where a .nbl file, or a part of one, lies: in a file of its own or within another, as an uncompressed entry of an APK
 * or an asset pack does. It may begin at any multiple of 4 bytes, as `zipalign 4` puts entries (64 is a little faster,
 * and a page's boundary is not needed): NIBBLE_ERROR_ARGUMENT otherwise, and when it does not lie within the file. */
typedef struct nibble_source {
  const char *path; /* NULL: fd */
  int fd;           /* open for reading. Yours: it is not closed, and you may close it when the call returns */
  uint64_t offset;
  uint64_t length; /* bytes; 0: to the end of the file */
} nibble_source;

/* Opens a .nbl file in one place, or all of its parts, each in a place, in their order: every one is mapped where it
 * lies and nothing is copied. NIBBLE_ERROR_FORMAT names a part that is missing, swapped or of another file. The array
 * is borrowed for the call. Everything else is nibble_open's. */
NIBBLE_API nibble_status nibble_open_sources(const nibble_source *sources, size_t n, const nibble_options *options,
                                             nibble_model **out, nibble_error *err);
NIBBLE_API void nibble_close(nibble_model *m); /* NULL is accepted. Sessions of m are closed before */
NIBBLE_API void nibble_free(void *memory);

/* Asks what runs on the model to end: with on = 1 it returns NIBBLE_STOPPED before its next layer, and so does whatever
 * is begun, until on = 0. The one function that another thread, or a signal handler, may call meanwhile. */
NIBBLE_API void nibble_interrupt(nibble_model *m, int on);

typedef struct nibble_info {
  char architecture[64]; /* "Phi3ForCausalLM" */
  size_t layers, width, vocabulary;
  size_t max_position; /* tokens of the longest sequence */
  int32_t bos, eos;    /* ids of the begin token and of the end token, -1: none */
  int has_chat_template;
  uint64_t file_bytes;
} nibble_info;

NIBBLE_API void nibble_describe(const nibble_model *m, nibble_info *out);

/* Text to ids. special: 1 adds what the tokenizer puts around a text (the begin token); 0 adds nothing; 2 as 1, but
 * nothing to a text that begins with the begin token itself, as a chat's may. The text of a special token counts as
 * that token. *ids is (*n), released with nibble_free. */
NIBBLE_API nibble_status nibble_tokenize(const nibble_model *m, const char *text, size_t n_bytes, int special,
                                         int32_t **ids, size_t *n, nibble_error *err);

/* Ids to text without special tokens; *text is NUL-terminated as well and released with nibble_free. */
NIBBLE_API nibble_status nibble_detokenize(const nibble_model *m, const int32_t *ids, size_t n, char **text,
                                           size_t *n_bytes, nibble_error *err);

typedef struct nibble_message {
  const char *role;    /* "system", "user", "assistant" */
  const char *content; /* NUL-terminated */
} nibble_message;

/* A conversation in the form that the model was trained on, ending where its answer begins. Tokenize it with
 * special = 0. *text is NUL-terminated as well and released with nibble_free. */
NIBBLE_API nibble_status nibble_chat(const nibble_model *m, const nibble_message *messages, size_t n, char **text,
                                     size_t *n_bytes, nibble_error *err);

typedef struct nibble_generation {
  size_t max_tokens;  /* new ones at most; 0: 256 */
  double temperature; /* 0: always the most likely token */
  double top_p;       /* 0 or 1: all tokens; else the smallest set whose probabilities reach this */
  uint64_t seed;      /* the same seed gives the same text */
  /* Receives the text as it is made, whole characters only, not NUL-terminated; returns 0 to stop. */
  int (*text)(void *ctx, const char *piece, size_t n_bytes);
  void *ctx;
  /* (n_stop) the text ends before the first of these, none of them empty; what may become one is held back. */
  const char *const *stop;
  size_t n_stop;
} nibble_generation;

typedef struct nibble_stats {
  size_t prompt_tokens, new_tokens;
  double prompt_seconds, new_seconds;
  int ended; /* 1: by the model's end token; 2: by a stop string; 0: by a limit or the callback */
} nibble_stats;

/* Continues the prompt's ids. stats may be NULL. For several turns of a conversation: nibble_session. */
NIBBLE_API nibble_status nibble_generate(nibble_model *m, const int32_t *prompt, size_t n, const nibble_generation *g,
                                         nibble_stats *stats, nibble_error *err);

/* A conversation, or any text that goes on over several turns. Each turn gives the whole text so far, and of that only
 * the tokens are run that the session's cache does not begin with; the answer is what nibble_generate would give. Turn
 * by turn: nibble_chat over all messages, nibble_tokenize with special = 0, nibble_session_generate, and the answer's
 * text becomes the next message. A model may have several sessions; they count as the model for threads: one call at a
 * time. */
typedef struct nibble_session nibble_session;

/* Set size; the rest may stay zero. */
typedef struct nibble_session_options {
  size_t size;    /* sizeof(nibble_session_options) */
  size_t context; /* tokens at most, prompt and answer. 0: the model's positions, or as many as memory_limit allows */
  const char *kv; /* the cache's type, as in nibble_options. NULL: the model's */
  int no_guesses; /* 1: do not try guesses of the next tokens, taken from the text itself. They change no text */
} nibble_session_options;

/* options may be NULL. NIBBLE_ERROR_ARGUMENT: a context out of range; NIBBLE_ERROR_MEMORY: beyond memory_limit. The
 * cache's memory is reserved now and becomes the process's as tokens come. */
NIBBLE_API nibble_status nibble_session_open(nibble_model *m, const nibble_session_options *options,
                                             nibble_session **out, nibble_error *err);
NIBBLE_API void nibble_session_close(nibble_session *s); /* NULL is accepted */

/* Continues the n ids of the text so far. *reused (or NULL): how many of them were in the cache. A text callback that
 * returns 0 ends the answer; nibble_interrupt, from any thread, ends it with NIBBLE_STOPPED, also within a long prompt.
 * Either way what was run stays in the cache, and the next turn goes on from it. stats may be NULL.
 * NIBBLE_ERROR_ARGUMENT: the ids and max_tokens do not fit the session's context. */
NIBBLE_API nibble_status nibble_session_generate(nibble_session *s, const int32_t *ids, size_t n,
                                                 const nibble_generation *g, nibble_stats *stats, size_t *reused,
                                                 nibble_error *err);

/* Of the last turn: how many guessed tokens were tried, and how many of those were right. */
NIBBLE_API void nibble_session_guesses(const nibble_session *s, size_t *tried, size_t *right);

/* The tokens that the cache holds now, at most *n of them copied into ids (NULL: none is); *n gets how many there are.
 */
NIBBLE_API void nibble_session_tokens(const nibble_session *s, int32_t *ids, size_t *n);

/* Forgets what was run; the memory is given back. */
NIBBLE_API void nibble_session_reset(nibble_session *s);

/* Writes the session's tokens and cache to a file, which appears whole or not at all and replaces an earlier one, and
 * puts such a file in place of what a session holds. It fits the same .nbl file, type of cache and version of the
 * library only: NIBBLE_ERROR_ARGUMENT otherwise, and when it holds more than the session's context; the text is then to
 * be run again. Its bytes are checked (NIBBLE_ERROR_FORMAT). Its size: nibble_fit's cache at that many tokens.
 * NIBBLE_ERROR_UNSUPPORTED: a model that is no .nbl file, or has dynamic RoPE scaling. */
NIBBLE_API nibble_status nibble_session_save(const nibble_session *s, const char *path, nibble_error *err);
NIBBLE_API nibble_status nibble_session_load(nibble_session *s, const char *path, nibble_error *err);

/* The natural-log probability of the continuation's ids after the context's (at least one: the begin token, say). All
 * but the last of them together must fit the model's positions.
 * *greedy (or NULL): whether each of them is the most likely token. */
NIBBLE_API nibble_status nibble_score(nibble_model *m, const int32_t *context, size_t n_context,
                                      const int32_t *continuation, size_t n, double *logprob, int *greedy,
                                      nibble_error *err);

/* The same for n continuations of one context, which is run once: continuation[i] has n_ids[i] ids, logprob (n) and
 * greedy ((n) or NULL) get the answers. */
NIBBLE_API nibble_status nibble_score_each(nibble_model *m, const int32_t *context, size_t n_context,
                                           const int32_t *const *continuation, const size_t *n_ids, size_t n,
                                           double *logprob, int *greedy, nibble_error *err);

/* The logits after each of the last `last` of the n ids (1 <= last <= n): out is (last, vocabulary). */
NIBBLE_API nibble_status nibble_logits(nibble_model *m, const int32_t *ids, size_t n, size_t last, float *out,
                                       nibble_error *err);

/* What nibble_evaluate asks. Set size and data; the rest may stay zero. Strings are borrowed for the call. `nibble eval
 * --help` says more about each, under the same names. */
typedef struct nibble_evaluate_options {
  size_t size; /* sizeof(nibble_evaluate_options) */

  const char *task;     /* a built-in task or a task file. NULL: "mmlu" */
  const char *preset;   /* the task's variant. NULL: its default */
  const char *data;     /* folder, .zip or file with the questions */
  const char *split;    /* NULL: as the task says */
  int shots;            /* examples before each question, 1 to 64; -1: none. 0: as the task says */
  const char *subjects; /* names with commas between them. NULL: all */
  size_t limit;         /* only the first so many questions of each subject. 0: all */
  size_t sample;        /* so many questions in all, drawn in proportion. 0: all */
  uint64_t seed;        /* of the drawing, at most 2^53. 0: 1 */
  const char *chat;     /* "single" or "multiturn": through the model's chat template. NULL: not */
  const char *system;   /* what stands before the task's header, or the system message. NULL: nothing */
  const char *overlong; /* prompts that do not fit: "fail", "wrong" or "truncate". NULL: fail */
  int no_bos;           /* 1: prompts begin with nothing */
  int texts;            /* 1: the result has the questions' texts */
  uint64_t kv_memory;   /* bytes for the texts that are written at a time. 0: a quarter of the machine's */
  const char *journal;  /* a file that keeps answers; a run that was stopped goes on from it. NULL: none */

  /* As in nibble_quantize_options. */
  int (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
  void *ctx;
} nibble_evaluate_options;

/* Measures accuracy on a set of questions. *result is the text of `nibble eval --out` (JSON, formats/RESULT.md),
 * NUL-terminated as well and released with nibble_free. NIBBLE_ERROR_ARGUMENT: options out of range, an unknown task or
 * subject, questions that do not fit the model. */
NIBBLE_API nibble_status nibble_evaluate(nibble_model *m, const nibble_evaluate_options *options, char **result,
                                         size_t *n_bytes, nibble_error *err);

/* How nibble_compare judges. Set size; the rest may stay zero. */
typedef struct nibble_compare_options {
  size_t size; /* sizeof(nibble_compare_options) */

  const char *gates; /* the limits, as nibble-gate.json has them: "{\"margin\": 1}". NULL: a margin of 1 point */
  int common;        /* 1: compare the questions that both runs have */
  int any_model;     /* 1: also models of different checkpoints */
  size_t resamples;  /* of the bootstrap. 0: 10000 */
  uint64_t seed;     /* of the bootstrap. 0: 1 */
} nibble_compare_options;

/* Judges a candidate's result (nibble_evaluate, or a file of `nibble eval --out`) against a baseline's, question by
 * question. *report is what `nibble compare --json` prints, whose "verdict" is "pass", "fail" or "undecided";
 * NUL-terminated as well and released with nibble_free. options may be NULL. NIBBLE_ERROR_ARGUMENT: runs that cannot be
 * compared, with the reason. */
NIBBLE_API nibble_status nibble_compare(const char *base, size_t n_base, const char *cand, size_t n_cand,
                                        const nibble_compare_options *options, char **report, size_t *n_bytes,
                                        nibble_error *err);

/* How nibble_quantize works. Set size, and leave what you do not need zero: that is the default. A field that a later
 * version adds comes at the end; a program built before it gets that field's default. Strings are borrowed for the
 * call. A message that names an option of the command (--seq) means the field of that name. */
typedef struct nibble_quantize_options {
  size_t size; /* sizeof(nibble_quantize_options) */

  /* What to calibrate on: a text file, chats (.jsonl), a folder of such, or "self" for text that the model writes.
   * NULL: the texts that come with the library. */
  const char *calib;
  size_t tokens; /* of that text, at most. 0: 32768 */
  size_t seq;    /* tokens of a sequence, 16 to 8192. 0: 512 */
  uint64_t seed; /* of the draw from the texts, or of the text that the model writes */
  int fast;      /* 1: no calibration, each weight is rounded by a search for scales; texts serve a budget only */

  /* At most one of these; they put the bits where they matter. */
  const char *preset; /* "phone" (1.8 GiB) or "phone-small" (1.8 GB) */
  uint64_t budget;    /* bytes of the whole file, which are never exceeded */
  double linear_bpw;  /* stored bits a weight of the layers' matrices, 3 to 8 */

  int bits;        /* of the layers' matrices without a budget, 3 to 8. 0: 4 */
  int group;       /* inputs that share a scale: 32, 64, 128 or 256. 0: 64 */
  int threads;     /* as nibble_options has them */
  const char *cpu; /* likewise */
  int force;       /* 1: replace a file that is there already and is no .nbl file */

  /* Called from time to time with what is done ("quantizing"), and how much of it out of a total (0: not known), in the
   * unit of that part; every part counts from its beginning. A value that is not 0 stops the run. NULL: none. */
  int (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
  /* Receives what a person should know, a line at a time: that an earlier run goes on, that the text is short. */
  void (*note)(void *ctx, const char *text);
  void *ctx; /* of both */
} nibble_quantize_options;

/* Makes the .nbl file `out` of a checkpoint's directory or a .gguf file: the bytes that `nibble quantize` writes. It
 * appears whole or not at all, and replaces an earlier .nbl file of that name. While a calibrated run works, what it
 * has finished lies in OUT.part: after NIBBLE_STOPPED, a crash or a full disk the next call with these arguments goes
 * on from there, to the same bytes (a fast run begins anew). options may be NULL. NIBBLE_ERROR_ARGUMENT: options that
 * are out of range or contradict each other, a budget that is too small (the message has the smallest), an output that
 * is the checkpoint, a part of it or the text, or another kind of file, an OUT.part of a run with other arguments.
 * NIBBLE_ERROR_IO: a path that cannot be read or written, an output that another run works on. */
NIBBLE_API nibble_status nibble_quantize(const char *checkpoint, const char *out,
                                         const nibble_quantize_options *options, nibble_error *err);

/* What this process holds now, in bytes; 0 where the system does not say. */
typedef struct nibble_memory {
  uint64_t file; /* mapped files' pages, which the system can drop and read again */
  uint64_t anon; /* heap, stacks and caches, which must stay */
  uint64_t peak; /* the most that both were together */
} nibble_memory;

NIBBLE_API void nibble_memory_now(nibble_memory *out);

/* What a model will take, in bytes. Set size before the call. */
typedef struct nibble_fit {
  size_t size;     /* sizeof(nibble_fit) */
  uint64_t mapped; /* of the file, mapped: clean pages, which the system takes back when others need them */
  uint64_t own;    /* the most that must stay: the sum of the next three (the process's code and stacks not counted) */
  uint64_t workspace; /* of a forward pass (options.batch, threads) */
  uint64_t cache;     /* of a session at the tokens asked for */
  uint64_t tables;    /* tokenizer, norms, sampling */
  uint64_t available; /* memory that the process may still take, as the system says; 0: it does not */
  size_t most_tokens; /* of the longest session that stays within options.memory_limit, or else within available; the
                       * model's positions at most. 0: not even the workspace fits */
  int fits;           /* 1: own stays within that; 0: no; also 1 where neither is known */
} nibble_fit;

/* Answers before anything of the weights is read, in milliseconds: what would nibble_open_sources with these options
 * (NULL: the defaults) and one session of `tokens` tokens (0, or more than the model has: its positions) take? The
 * answer's own holds the most that is ever used; short prompts touch less of the workspace. It fails as
 * nibble_open_sources does. */
NIBBLE_API nibble_status nibble_fit_sources(const nibble_source *sources, size_t n, const nibble_options *options,
                                            size_t tokens, nibble_fit *out, nibble_error *err);

/* Processors: *all that this process may use, and *fast, those of them that are of the fastest kind (phones have slow
 * ones beside; equal where all are alike or the system does not say). Threads = *fast is a good start. */
NIBBLE_API void nibble_cores(int *all, int *fast);

#ifdef __cplusplus
}
#endif

#endif
