/* SPDX-License-Identifier: MIT */
#include "eval/lmeval.h"

#include "formats/json.h"
#include "formats/jsonl.h"
#include "formats/mapfile.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES_MAX_BYTES = 1 << 30, MAX_FILES = 2000 };

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool ends(const char *s, const char *suffix) {
  size_t n = strlen(s), k = strlen(suffix);
  return n >= k && !strcmp(s + n - k, suffix);
}

static bool is_samples(const char *path) { return !strncmp(base_name(path), "samples_", 8) && ends(path, ".jsonl"); }
static bool is_results(const char *path) { return !strncmp(base_name(path), "results_", 8) && ends(path, ".json"); }
bool nb_lmeval_named(const char *path) { return is_samples(path) || is_results(path); }

/* ---- one document ---- */

typedef struct line {
  nb_result *r;
  const cJSON *o;
  const char *where;
  nb_err *err;
  nb_text context[NB_MAX_CHOICES], continuation[NB_MAX_CHOICES]; /* views of the JSON's strings */
  size_t n, n_contexts;
} line;

static nb_status wrong(const line *l, const char *what) {
  return nb_fail(l->err, NB_ERR_FORMAT, "%s: %s", l->where, what);
}

static nb_text view(const cJSON *text) { return (nb_text){.s = text->valuestring, .n = strlen(text->valuestring)}; }

/* "arguments": {"gen_args_0": {"arg_0": CONTEXT, "arg_1": CONTINUATION}, ...} */
static nb_status read_arguments(line *l) {
  const cJSON *all;
  bool one = true;
  NB_TRY(nb_json_object(l->o, l->where, "arguments", &all, l->err));
  for (const cJSON *a = all->child; a; a = a->next) {
    const cJSON *context = nb_json_get(a, "arg_0"), *continuation = nb_json_get(a, "arg_1");
    if (!cJSON_IsString(context) || !cJSON_IsString(continuation))
      return nb_fail(l->err, NB_ERR_UNSUPPORTED,
                     "%s: not a context and a continuation: of lm-evaluation-harness's tasks those of log-likelihoods "
                     "are compared, not those of written answers",
                     l->where);
    if (l->n == NB_MAX_CHOICES) return wrong(l, "more choices than nibble takes");
    l->context[l->n] = view(context), l->continuation[l->n] = view(continuation);
    one = one && !strcmp(l->context[l->n].s, l->context[0].s);
    l->n++;
  }
  l->n_contexts = one ? 1 : l->n;
  return l->n > 1 ? NB_OK : wrong(l, "fewer than two choices in \"arguments\"");
}

/* "filtered_resps": [["-1.25", "False"], ...], numbers as texts. */
static nb_status read_logprobs(line *l, nb_answer *a) {
  const cJSON *list;
  size_t c = 0;
  NB_TRY(nb_json_array(l->o, l->where, "filtered_resps", &list, l->err));
  for (const cJSON *e = list->child; e && c < l->n; e = e->next, c++) {
    const cJSON *v = cJSON_IsArray(e) ? e->child : NULL;
    char *end = NULL;
    if (cJSON_IsNumber(v)) a->logprob[c] = v->valuedouble;
    else if (cJSON_IsString(v)) a->logprob[c] = strtod(v->valuestring, &end);
    if (!v || (end && (*end || end == v->valuestring)) || !(a->logprob[c] <= 0))
      return wrong(l, "\"filtered_resps\" holds no log-prob for every choice");
  }
  return c == l->n ? NB_OK : wrong(l, "\"filtered_resps\" holds fewer log-probs than there are choices");
}

/* Where all continuations are one text (WinoGrande), the target says nothing: the accuracy tells, of two choices, which
 * is right. Otherwise it stays unknown: answer is n_choices. */
static nb_status infer_target(line *l, const nb_answer *a, nb_item *it) {
  const cJSON *acc = nb_json_get(l->o, "acc");
  it->answer = l->n;
  if (l->n != 2 || !cJSON_IsNumber(acc)) return NB_OK;
  size_t pick = a->logprob[1] > a->logprob[0];
  it->answer = acc->valuedouble == 1 ? pick : 1 - pick;
  it->correct[it->answer] = true;
  return NB_OK;
}

/* "target": a choice's number, a list with one, or a choice's text, all as text. */
static nb_status read_target(line *l, const nb_answer *a, nb_item *it) {
  bool one = true;
  for (size_t c = 1; c < l->n; c++) one = one && !strcmp(l->continuation[c].s, l->continuation[0].s);
  if (one) return infer_target(l, a, it);
  const cJSON *t = nb_json_get(l->o, "target");
  char buf[40] = "", *end;
  if (cJSON_IsNumber(t)) snprintf(buf, sizeof buf, "%.0f", t->valuedouble);
  const char *s = cJSON_IsString(t) ? t->valuestring : buf;
  if (*s == '[') s++;
  unsigned long k = strtoul(s, &end, 10);
  if (end == s || (*end && *end != ']')) {
    for (k = 0; k < l->n; k++) {
      const char *c = l->continuation[k].s;
      if (!strcmp(c, s) || (*c == ' ' && !strcmp(c + 1, s))) break;
    }
  }
  if (k >= l->n) return wrong(l, "\"target\" is none of the choices");
  it->answer = k, it->correct[k] = true;
  return NB_OK;
}

static nb_status hash_prompt(line *l, uint64_t *out) {
  nb_prompt p = {.n = l->n, .n_contexts = l->n_contexts, .context = l->context, .continuation = l->continuation};
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(l->err, NB_ERR_MEMORY, "%s: out of memory", l->where);
  XXH3_128bits_reset(h);
  nb_prompt_hash(&p, h);
  *out = XXH3_128bits_digest(h).low64;
  XXH3_freeState(h);
  return NB_OK;
}

/* The lengths that acc_norm divides by: of the choices' texts, without the blank in front. */
static void measure(const line *l, nb_answer *a) {
  for (size_t c = 0; c < l->n; c++) {
    const char *s = l->continuation[c].s;
    if (*s == ' ' && s[1]) s++;
    a->bytes[c] = (uint32_t)nb_max(strlen(s), 1);
    for (a->chars[c] = 0; *s; s++) a->chars[c] += ((unsigned char)*s & 0xc0) != 0x80;
    if (!a->chars[c]) a->chars[c] = 1;
  }
}

/* Where the file says 0 or 1 for "acc", the log-probs must say the same. Ties may go to either choice. */
static nb_status check_accuracy(line *l, const nb_row *row) {
  const cJSON *acc = nb_json_get(l->o, "acc");
  nb_grade first, strict;
  if (row->item.answer == l->n || !cJSON_IsNumber(acc) || (acc->valuedouble != 0 && acc->valuedouble != 1))
    return NB_OK;
  nb_grade_answer(&row->item, &row->answer, false, &first);
  nb_grade_answer(&row->item, &row->answer, true, &strict);
  if (first.acc == acc->valuedouble || strict.acc == acc->valuedouble) return NB_OK;
  return wrong(l, "its \"acc\" does not follow from its log-probs and its target");
}

static nb_status read_document(line *l, const char *file, nb_row *row) {
  nb_pool *pool = &l->r->pool;
  nb_item *it = &row->item;
  char id[48];
  *row = (nb_row){.category = ""};
  if (!nb_json_get(l->o, "doc_id")) return wrong(l, "no \"doc_id\": not a sample of lm-evaluation-harness");
  NB_TRY(read_arguments(l));
  it->n_choices = l->n, it->question = "";
  it->correct = nb_pool_get(pool, l->n * sizeof *it->correct);
  it->choice = nb_pool_get(pool, l->n * sizeof *it->choice);
  if (!it->correct || !it->choice) return nb_fail(l->err, NB_ERR_MEMORY, "%s: out of memory", l->where);
  for (size_t c = 0; c < l->n; c++)
    if (!(it->choice[c] = nb_pool_copy(pool, l->continuation[c].s, l->continuation[c].n)))
      return nb_fail(l->err, NB_ERR_MEMORY, "%s: out of memory", l->where);
  NB_TRY(read_logprobs(l, &row->answer));
  NB_TRY(read_target(l, &row->answer, it));
  NB_TRY(hash_prompt(l, &row->answer.prompt_hash));
  measure(l, &row->answer);
  NB_TRY(check_accuracy(l, row));
  /* The subject is the task in the file's name: samples_TASK_DATE.jsonl. */
  const char *name = base_name(file), *date = strrchr(name, '_');
  bool named = is_samples(file) && date > name + 8;
  it->subject = named ? nb_pool_copy(pool, name + 8, (size_t)(date - name - 8)) : "";
  snprintf(id, sizeof id, "%016llx", (unsigned long long)row->answer.prompt_hash);
  it->id = nb_pool_copy(pool, id, strlen(id));
  if (!it->id || !it->subject) return nb_fail(l->err, NB_ERR_MEMORY, "%s: out of memory", l->where);
  return NB_OK;
}

nb_status nb_lmeval_add(const char *bytes, size_t n, const char *file, nb_result *out, nb_err *err) {
  nb_jsonl it;
  nb_status st;
  size_t cap = out->n; /* doubled where it is full: see below */
  NB_TRY(nb_jsonl_open(bytes, n, file, &it, err));
  for (;;) {
    const cJSON *o;
    NB_GOTO(nb_jsonl_next(&it, &o, err));
    if (!o) break;
    NB_GOTO(nb_grow(&out->row, &cap, out->n + 1, sizeof *out->row, err));
    line l = {.r = out, .o = o, .where = it.where, .err = err};
    NB_GOTO(read_document(&l, file, &out->row[out->n]));
    out->n++;
    /* acc_norm is what counts where it is there. */
    if (nb_json_get(o, "acc_norm")) out->protocol.metric = NB_METRIC_ACC_NORM;
  }
fail:
  nb_jsonl_close(&it);
  return st;
}

/* ---- the whole ---- */

static int by_prompt(const void *a, const void *b) {
  const nb_row *x = *(const nb_row *const *)a, *y = *(const nb_row *const *)b;
  if (x->answer.prompt_hash != y->answer.prompt_hash) return x->answer.prompt_hash < y->answer.prompt_hash ? -1 : 1;
  return (x > y) - (x < y); /* in their order */
}

static const nb_row **by_prompts(const nb_result *r) {
  const nb_row **rows = calloc(r->n + 1, sizeof *rows);
  for (size_t i = 0; rows && i < r->n; i++) rows[i] = &r->row[i];
  if (rows) qsort(rows, r->n, sizeof *rows, by_prompt);
  return rows;
}

/* Ids that come twice (the same question twice in a set) get their number behind them. */
static nb_status number_twins(nb_result *r, nb_err *err) {
  const nb_row **rows = by_prompts(r);
  nb_status st = rows ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
  for (size_t i = 1, twin = 1; i < r->n && st == NB_OK; i++) {
    twin = rows[i]->answer.prompt_hash == rows[i - 1]->answer.prompt_hash ? twin + 1 : 1;
    if (twin == 1) continue;
    char id[48];
    snprintf(id, sizeof id, "%016llx#%zu", (unsigned long long)rows[i]->answer.prompt_hash, twin);
    const char *copy = nb_pool_copy(&r->pool, id, strlen(id));
    if (!copy) st = nb_fail(err, NB_ERR_MEMORY, "out of memory");
    r->row[rows[i] - r->row].item.id = copy;
  }
  free(rows);
  return st;
}

/* Gives a document the name and the lengths of nibble's question with the same prompt. Which choices are right must
 * agree, where one alone is. */
static nb_status take_over(nb_row *row, const nb_row *from, const char *path, nb_err *err) {
  size_t n_right = 0;
  for (size_t c = 0; c < from->item.n_choices; c++) n_right += from->item.correct[c];
  if (row->item.n_choices != from->item.n_choices ||
      (n_right == 1 && row->item.answer < row->item.n_choices && row->item.answer != from->item.answer))
    return nb_fail(err, NB_ERR_ARG, "not comparable: %s has another right answer for question \"%s\"", path,
                   from->item.id);
  const char **choice = row->item.choice;
  row->item = from->item, row->item.choice = choice;
  row->category = from->category;
  row->answer.shots = from->answer.shots, row->answer.n_tokens = from->answer.n_tokens;
  memcpy(row->answer.chars, from->answer.chars, sizeof row->answer.chars);
  memcpy(row->answer.bytes, from->answer.bytes, sizeof row->answer.bytes);
  return NB_OK;
}

/* Keeps the documents that have a question of like's, each question once. */
static nb_status match(nb_result *r, const nb_result *like, const char *path, nb_err *err) {
  const nb_row **theirs = by_prompts(like), **ours = by_prompts(r);
  bool *keep = calloc(r->n + 1, sizeof *keep);
  size_t k = 0, kept = 0;
  nb_status st = theirs && ours && keep ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
  for (size_t i = 0; st == NB_OK && i < r->n && k < like->n;) {
    uint64_t a = ours[i]->answer.prompt_hash, b = theirs[k]->answer.prompt_hash;
    if (a < b) i++;
    else if (a > b) k++;
    else {
      size_t at = (size_t)(ours[i++] - r->row);
      keep[at] = true;
      st = take_over(&r->row[at], theirs[k++], path, err);
    }
  }
  for (size_t i = 0; st == NB_OK && i < r->n; i++)
    if (keep[i]) r->row[kept++] = r->row[i];
  if (st == NB_OK) r->n = kept;
  free(theirs), free(ours), free(keep);
  return st;
}

nb_status nb_lmeval_finish(const char *path, const nb_result *like, nb_result *out, nb_lmeval_found *found,
                           nb_err *err) {
  nb_metric metric = out->protocol.metric;
  found->documents = out->n;
  if (!out->n) return nb_fail(err, NB_ERR_FORMAT, "%s: no samples", path);
  out->model = (nb_model_facts){.name = path, .architecture = "lm-evaluation-harness", .kv = ""};
  if (!like) {
    NB_TRY(number_twins(out, err));
    out->protocol = (nb_protocol){.task = out->row[0].item.subject, .preset = "", .split = "", .subjects = ""};
    out->protocol.score = NB_SCORE_CONTINUATION, out->protocol.metric = metric;
    out->protocol.questions = found->matched = out->n;
    for (size_t i = 0; i < out->n; i++)
      if (out->row[i].item.answer == out->row[i].item.n_choices)
        return nb_fail(err, NB_ERR_UNSUPPORTED,
                       "%s: document %zu does not say which choice is right; only a run of "
                       "nibble's can be compared with it",
                       path, i + 1);
    const nb_item **items = calloc(out->n, sizeof *items);
    if (!items) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < out->n; i++) items[i] = &out->row[i].item;
    nb_status st = nb_result_items_hash(items, out->n, out->protocol.data_hash, err);
    free(items);
    return st;
  }
  NB_TRY(match(out, like, path, err));
  found->matched = out->n;
  if (!out->n)
    return nb_fail(
        err, NB_ERR_ARG,
        "not comparable: of %zu documents of %s none has a prompt of %s; task, preset, shots and split must be "
        "those of lm-evaluation-harness's run",
        found->documents, path, like->model.name);
  out->protocol = like->protocol;
  out->protocol.questions = out->n, out->protocol.stopped_at = 0;
  if (out->n != like->n) *out->protocol.data_hash = 0;
  return NB_OK;
}

static nb_status add_file(const char *path, nb_result *out, nb_lmeval_found *found, nb_err *err) {
  char *bytes;
  size_t n;
  NB_TRY(nb_mapfile_read(path, SAMPLES_MAX_BYTES, &bytes, &n, err));
  nb_status st = nb_lmeval_add(bytes, n, path, out, err);
  free(bytes);
  found->files++;
  return st;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* All samples of the date of results_DATE.json, by name. */
static nb_status add_beside(const char *results, nb_result *out, nb_lmeval_found *found, nb_err *err) {
  const char *name = base_name(results);
  size_t n_dir = (size_t)(name - results), n = 0;
  char date[300], *dir = malloc(n_dir + 2), **list = calloc(MAX_FILES, sizeof *list);
  nb_status st = dir && list ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
  snprintf(date, sizeof date, "_%.*s.jsonl", (int)nb_min(strlen(name) - 13, 280), name + 8);
  if (st == NB_OK) snprintf(dir, n_dir + 2, "%.*s", n_dir ? (int)n_dir : 1, n_dir ? results : ".");
  DIR *d = st == NB_OK ? opendir(dir) : NULL;
  for (struct dirent *e; d && n < MAX_FILES && (e = readdir(d));)
    if (is_samples(e->d_name) && ends(e->d_name, date)) {
      size_t bytes = n_dir + strlen(e->d_name) + 1;
      if (!(list[n] = malloc(bytes))) break;
      snprintf(list[n++], bytes, "%.*s%s", (int)n_dir, results, e->d_name);
    }
  if (d) closedir(d);
  if (n) qsort(list, n, sizeof *list, by_text);
  for (size_t i = 0; i < n; i++) {
    if (st == NB_OK) st = add_file(list[i], out, found, err);
    free(list[i]);
  }
  free(dir), free(list);
  if (st == NB_OK && !n)
    st = nb_fail(err, NB_ERR_ARG,
                 "%s holds sums only, and no samples_*%s lie beside it: run lm-evaluation-harness with --log_samples "
                 "to compare question by question",
                 results, date);
  return st;
}

nb_status nb_lmeval_load(const char *path, const nb_result *like, nb_result *out, nb_lmeval_found *found, nb_err *err) {
  *out = (nb_result){0}, *found = (nb_lmeval_found){0};
  nb_status st = is_results(path) ? add_beside(path, out, found, err) : add_file(path, out, found, err);
  if (st == NB_OK) st = nb_lmeval_finish(path, like, out, found, err);
  if (st != NB_OK) nb_result_free(out);
  return st;
}
