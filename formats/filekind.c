/* SPDX-License-Identifier: MIT */
#include "formats/filekind.h"

#include "formats/nbl_layout.h"

#include <string.h>

enum { WORDS = 2 };

/* How each kind begins (JSON after blanks), and what stands in the bytes that are looked at besides. The first row that
 * fits is what a file is, so that what is particular stands before what is general. */
static const struct {
  nb_file_kind kind;
  const char *what, *begin, *within[WORDS];
} kinds[] = {
    {NB_FILE_NBL, "a .nbl file", NB_NBL_MAGIC, {NULL}},
    {NB_FILE_SPLIT, "a part of a split .nbl file", NB_SPLIT_MAGIC, {NULL}},
    {NB_FILE_CACHE, "a session's cache", "NBCACHE", {NULL}},
    {NB_FILE_STATS, "a file of nibble calibrate", "NBCALIB", {NULL}},
    {NB_FILE_PART, "finished matrices of nibble quantize", "NBLPART", {NULL}},
    {NB_FILE_JOURNAL, "a journal of nibble eval or gate", "nbjrnl", {NULL}},
    {NB_FILE_GGUF, "a GGUF file", "GGUF", {NULL}},
    {NB_FILE_CHAT, "a conversation of nibble chat", "{", {"\"format\": \"nibble-chat\"", NULL}},
    {NB_FILE_NBLZ, "a packed .nbl file", "NBLZ", {NULL}},
    {NB_FILE_LFS, "a pointer of git-lfs in place of the file", "version https://git-lfs.github.com/spec/", {NULL}},
    {NB_FILE_PARQUET, "a Parquet file of a data set", "PAR1", {NULL}},
    {NB_FILE_PICKLE, "a file of PyTorch", "PK\3\4", {"data.pkl"}},
    {NB_FILE_PICKLE, "a file of PyTorch", "\x80\x02", {NULL}},
    {NB_FILE_BUNDLE, "a bundle of nibble eval", "PK\3\4", {"result.json"}},
    {NB_FILE_ZIP, "a zip archive", "PK\3\4", {NULL}},
    {NB_FILE_GZIP, "a file packed with gzip", "\x1f\x8b", {NULL}},
    {NB_FILE_PAGE, "a page of nibble", "<!DOCTYPE html>", {"<title>nibble"}},
    {NB_FILE_WEB_PAGE, "a web page", "<!DOCTYPE html", {NULL}},
    {NB_FILE_WEB_PAGE, "a web page", "<!doctype html", {NULL}},
    {NB_FILE_WEB_PAGE, "a web page", "<html", {NULL}},
    {NB_FILE_JUNIT,
     "a JUnit file of nibble",
     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"",
     {NULL}},
    {NB_FILE_MARKDOWN, "a summary of nibble", "## nibble: ", {NULL}},
    {NB_FILE_RUNS, "what `nibble eval --json` says of several runs", "{", {"\"runs\"", "\"verdicts\""}},
    {NB_FILE_RESULT, "a result of nibble eval", "{", {"\"format\": \"nibble-result\""}},
    {NB_FILE_RESULT, "a result of nibble eval", "{", {"\"format\":\"nibble-result\""}},
    {NB_FILE_SUITE, "a table of nibble eval --suite", "{", {"\"format\": \"nibble-suite\"", NULL}},
    {NB_FILE_VERDICT, "a comparison's verdict (--json), not a run", "{", {"\"verdict\"", "\"gates\""}},
    {NB_FILE_LIGHTEVAL,
     "a result of lighteval, without each question's answers",
     "{",
     {"\"results\"", "\"config_general\""}},
    /* Standard output alone, or all that it prints. WinoGrande's alone has no head, and could be any table's. */
    {NB_FILE_LLAMA_LOG, "a log of llama.cpp's llama-perplexity", "\ntask\tacc_norm", {NULL}},
    {NB_FILE_LLAMA_LOG, "a log of llama.cpp's llama-perplexity", "task\tacc_norm", {NULL}},
    {NB_FILE_LLAMA_LOG, "a log of llama.cpp's llama-perplexity", "build: ", {"llama_"}},
    {NB_FILE_HARNESS, "a result of lm-evaluation-harness", "{", {"\"results\"", "\"configs\""}},
    {NB_FILE_HARNESS, "a result of lm-evaluation-harness", "{", {"\"lm_eval_version\""}},
    {NB_FILE_HARNESS, "a result of lm-evaluation-harness", "{", {"\"n-shot\""}},
    {NB_FILE_HARNESS, "a result of lm-evaluation-harness", "{", {"\"acc,none\""}},
    {NB_FILE_SAMPLE, "a sample of lm-evaluation-harness", "{", {"\"doc_id\"", "\"doc\""}},
    {NB_FILE_TASK, "a task description", "{", {"\"data\"", "\"prompt\""}},
    {NB_FILE_INDEX, "the index of a checkpoint", "{", {"\"weight_map\""}},
    {NB_FILE_CONFIG, "the configuration of a checkpoint", "{", {"\"architectures\""}},
    {NB_FILE_TOKENIZER, "a tokenizer", "{", {"\"added_tokens\""}},
    {NB_FILE_PROBE, "questions of nibble probe", "{\"id\": \"", {" tokens\", \"depth\": "}},
    {NB_FILE_QUESTION, "a file of questions", "{", {"\"question\"", "\"choices\""}},
    {NB_FILE_LIST, "a list, such as a data set", "[", {NULL}},
    /* Behind the size of its header, which no magic number precedes: see has_header. */
    {NB_FILE_EXPORT, "a checkpoint of nibble export", "", {"\"nibble\":\""}},
    {NB_FILE_SAFETENSORS, "a .safetensors file", "", {NULL}},
};
enum { ROWS = sizeof kinds / sizeof *kinds };

static bool holds(const char *text, size_t n, const char *word) {
  size_t m = strlen(word);
  for (size_t i = 0; i + m <= n; i++)
    if (text[i] == *word && !memcmp(text + i, word, m)) return true;
  return false;
}

/* Whether a size below 2^40 and an object follow each other, as in a .safetensors file. */
static bool has_header(const char *head, size_t n) {
  return n > 9 && head[8] == '{' && !head[5] && !head[6] && !head[7];
}

static bool fits(size_t row, const char *head, size_t n) {
  const char *begin = kinds[row].begin;
  size_t blanks = 0, m = strlen(begin);
  if (!*begin && !has_header(head, n)) return false;
  while ((*begin == '{' || *begin == '[') && blanks < n && memchr(" \t\r\n", head[blanks], 4)) blanks++;
  if (n - blanks < m || memcmp(head + blanks, begin, m)) return false;
  for (size_t i = 0; i < WORDS && kinds[row].within[i]; i++)
    if (!holds(head, n, kinds[row].within[i])) return false;
  return true;
}

nb_file_kind nb_filekind_of(const char *head, size_t n) {
  for (size_t i = 0; i < ROWS; i++)
    if (fits(i, head, n)) return kinds[i].kind;
  return NB_FILE_UNKNOWN;
}

bool nb_filekind_is(nb_file_kind kind, const char *head, size_t n) {
  for (size_t i = 0; i < ROWS; i++)
    if (kinds[i].kind == kind && fits(i, head, n)) return true;
  return false;
}

const char *nb_filekind_name(nb_file_kind kind) {
  for (size_t i = 0; i < ROWS; i++)
    if (kinds[i].kind == kind) return kinds[i].what;
  return "a file of another kind";
}
