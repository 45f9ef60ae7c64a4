/* SPDX-License-Identifier: MIT */
/* What a file is, by its first bytes: nibble's own kinds, which outputs replace (formats/paths.h), and those that
 * people give by mistake (formats/explain.h). */
#ifndef NB_FILEKIND_H
#define NB_FILEKIND_H

#include <stdbool.h>
#include <stddef.h>

typedef enum nb_file_kind {
  NB_FILE_UNKNOWN,
  /* what nibble writes */
  NB_FILE_NBL,
  NB_FILE_STATS,
  NB_FILE_RESULT,
  NB_FILE_PAGE,
  NB_FILE_JUNIT,
  NB_FILE_MARKDOWN,
  NB_FILE_BUNDLE,
  NB_FILE_JOURNAL,
  NB_FILE_GGUF,
  NB_FILE_CHAT, /* a conversation of `nibble chat` */
  NB_FILE_NBLZ,
  NB_FILE_SPLIT, /* a part of `nibble split` */
  NB_FILE_CACHE, /* of a session of the library */
  NB_FILE_PROBE,
  NB_FILE_PART,   /* what quantize keeps beside its output */
  NB_FILE_EXPORT, /* the weights of a checkpoint that `nibble export` made */
  NB_FILE_RUNS,
  NB_FILE_VERDICT,
  NB_FILE_SUITE, /* the table of `nibble eval --suite` */
  /* what others write */
  NB_FILE_LFS,
  NB_FILE_SAFETENSORS,
  NB_FILE_PICKLE,
  NB_FILE_PARQUET,
  NB_FILE_ZIP,
  NB_FILE_GZIP,
  NB_FILE_WEB_PAGE,
  NB_FILE_HARNESS,
  NB_FILE_SAMPLE,
  NB_FILE_LIGHTEVAL,
  NB_FILE_LLAMA_LOG, /* of llama-perplexity --multiple-choice, --hellaswag or --winogrande */
  NB_FILE_TASK,
  NB_FILE_INDEX,
  NB_FILE_CONFIG,
  NB_FILE_TOKENIZER,
  NB_FILE_QUESTION,
  NB_FILE_LIST,
  NB_FILE_KINDS
} nb_file_kind;

enum { NB_FILE_HEAD = 4096 }; /* bytes that suffice to tell nearly all of them apart */

/* The kind of a file that begins with these n bytes; NB_FILE_UNKNOWN when it is none of these. */
nb_file_kind nb_filekind_of(const char *head, size_t n);

/* Whether it is of one kind, which may be a part of another: a bundle is a zip archive, too. */
bool nb_filekind_is(nb_file_kind kind, const char *head, size_t n);

/* "a .nbl file", for messages. */
const char *nb_filekind_name(nb_file_kind kind);

#endif
