/* SPDX-License-Identifier: MIT */
/* Comparisons, gates, reports and merging, on made-up runs. */
#include "test.h"

#include "base/clock.h"
#include "formats/json.h"
#include "eval/merge.h"
#include "eval/report.h"
#include "eval/rng.h"

static nb_err err;

/* A run of n questions over `subjects` subjects, four choices, the first right. A question's log-probs are drawn from
 * seed; noise moves them, and every question in `hurt` (a share) is made wrong. */
static nb_result make_run(size_t n, size_t subjects, double noise, double hurt, uint64_t seed) {
  nb_result r = {.n = n, .texts = true};
  r.protocol = (nb_protocol){.task = "toy",
                             .preset = "",
                             .split = "test",
                             .subjects = "",
                             .score = NB_SCORE_LETTER,
                             .questions = n,
                             .data_hash = "0123456789abcdef0123456789abcdef"};
  r.model = (nb_model_facts){.name = "models/toy.nbl",
                             .architecture = "Phi3ForCausalLM",
                             .kv = "f16",
                             .file_bytes = 1000000,
                             .bits = 4.5,
                             .hash = "00000000000000000000000000000001"};
  snprintf(r.model.lineage, sizeof r.model.lineage, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  r.row = calloc(n, sizeof *r.row);
  uint64_t base = test_seed(99), other = test_seed(seed);
  for (size_t i = 0; i < n; i++) {
    nb_row *row = &r.row[i];
    static const char *texts[4] = {"one <b>", "two & \"three\"", "</script><script>alert(1)</script>", "four"};
    char id[40], subject[40];
    int k = snprintf(id, sizeof id, "q%zu", i), m = snprintf(subject, sizeof subject, "subject_%zu", i * subjects / n);
    row->item = (nb_item){.id = nb_pool_copy(&r.pool, id, (size_t)k),
                          .subject = nb_pool_copy(&r.pool, subject, (size_t)m),
                          .question = "What | is <this>?",
                          .choice = texts,
                          .n_choices = 4,
                          .correct = nb_pool_get(&r.pool, 4)};
    row->item.correct[0] = true;
    row->category = "";
    row->answer = (nb_answer){.prompt_hash = i * 77 + 1, .n_tokens = 50};
    for (size_t c = 0; c < 4; c++) {
      row->answer.logprob[c] = -1 - 3 * nb_rng_uniform(&base) + (c == 0) - noise * nb_rng_uniform(&other);
      row->answer.chars[c] = row->answer.bytes[c] = 1;
    }
    if (nb_rng_uniform(&other) < hurt) row->answer.logprob[0] -= 10;
  }
  return r;
}

static const nb_compare_opts defaults = {.alpha = 0.05, .margin = 0.01, .reps = 500, .seed = 1};

static void refused(nb_result *a, nb_result *b, nb_compare_opts o, const char *say) {
  nb_comparison c;
  nb_status st = nb_compare(a, b, &o, &c, &err);
  CHECK_MSG(st == NB_ERR_ARG, "accepted (want \"%s\")", say);
  if (st != NB_OK) CHECK_MSG(strstr(err.msg, say), "\"%s\" does not say \"%s\"", err.msg, say);
  else nb_comparison_free(&c);
}

TEST(only_like_with_like) {
  nb_result a = make_run(40, 4, 0, 0, 1), b = make_run(40, 4, 0.1, 0, 2);
  nb_comparison c;
  CHECK_OK(nb_compare(&a, &b, &defaults, &c, &err));
  CHECK(c.n == 40 && c.same_checkpoint && c.n_subjects == 4);
  nb_comparison_free(&c);
  b.protocol.shots = 5;
  refused(&a, &b, defaults, "number of shots is 0 in the baseline and 5");
  b.protocol = a.protocol, b.protocol.task = "joy";
  refused(&a, &b, defaults, "the task is \"toy\"");
  b.protocol = a.protocol, b.row[7].answer.prompt_hash++;
  refused(&a, &b, defaults, "question \"q7\" has another prompt");
  b.row[7].answer.prompt_hash--;
  b.model.lineage[0] = 'b';
  refused(&a, &b, defaults, "different checkpoints");
  nb_compare_opts any = defaults;
  any.any_model = true;
  CHECK_OK(nb_compare(&a, &b, &any, &c, &err));
  nb_comparison_free(&c);
  memcpy(b.model.lineage, a.model.lineage, sizeof b.model.lineage);
  b.n = 30;
  refused(&a, &b, defaults, "different questions");
  nb_compare_opts common = defaults;
  common.common = true;
  CHECK_OK(nb_compare(&a, &b, &common, &c, &err));
  CHECK(c.n == 30 && c.n_base_only == 10 && c.n_cand_only == 0);
  nb_comparison_free(&c);
  for (size_t i = 0; i < b.n; i++) b.row[i].item.id = b.row[i].item.subject, b.row[i].answer.prompt_hash = 0;
  refused(&a, &b, common, "no question in common");
  b.n = 40;
  nb_result_free(&a), nb_result_free(&b);
}

TEST(numbers_of_a_comparison) {
  nb_result a = make_run(2000, 5, 0, 0, 1), b = make_run(2000, 5, 0, 0.1, 2);
  nb_comparison c;
  CHECK_OK(nb_compare(&a, &b, &defaults, &c, &err));
  size_t right = 0, lost = 0;
  for (size_t i = 0; i < c.n; i++)
    right += c.pair[i].base_grade.pick == 0, lost += c.pair[i].base_score > c.pair[i].cand_score;
  CHECK(fabs(c.base_score - (double)right / 2000) < 1e-12);
  CHECK(c.gained == 0 && c.lost == lost && lost > 60 && lost < 200);
  CHECK(fabs(c.diff + (double)lost / 2000) < 1e-12 && c.low < c.diff && c.diff < c.high);
  CHECK(c.clustered.low < c.diff && c.diff < c.clustered.high);
  CHECK(c.test.verdict == NB_VERDICT_FAIL && c.mcnemar_p < 1e-6);
  CHECK(c.kl.mean > 0.1 && c.kl_median < 1e-12);
  size_t sum = 0;
  for (size_t s = 0; s < c.n_subjects; s++) {
    sum += c.subject[s].lost;
    CHECK(c.subject[s].n == 400 && c.subject[s].holm >= c.subject[s].bh && c.subject[s].bh >= c.subject[s].p);
  }
  CHECK(sum == lost);
  nb_comparison_free(&c);
  nb_result_free(&a), nb_result_free(&b);
}

/* A subject a question, which a search through all of them would make 10^10 steps of. */
TEST(many_subjects_take_no_longer) {
  nb_result a = make_run(100000, 100000, 0, 0, 1);
  nb_comparison c;
  nb_summary s;
  double start = nb_clock();
  nb_compare_opts o = defaults;
  o.reps = 2;
  for (size_t i = 0; i < a.n; i++) a.row[i].category = a.row[i * 7919 % a.n].item.subject;
  CHECK_OK(nb_compare(&a, &a, &o, &c, &err));
  CHECK(c.n_subjects == 100000);
  nb_comparison_free(&c);
  CHECK_OK(nb_summary_make(&a, &s, &err));
  CHECK(s.n_subjects == 100000 && s.n_categories == 100000);
  CHECK_MSG(nb_clock() - start < 20, "%.1f seconds", nb_clock() - start);
  nb_summary_free(&s);
  nb_result_free(&a);
}

/* Noise in the answers that leaves accuracy alone: KL sees it where accuracy does not. */
TEST(kl_sees_what_accuracy_does_not) {
  nb_result a = make_run(900, 9, 0, 0, 1), b = make_run(900, 9, 0.5, 0, 2);
  nb_compare_opts o = defaults;
  nb_comparison c;
  nb_judgement g;
  o.margin = 0.05;
  CHECK_OK(nb_compare(&a, &b, &o, &c, &err));
  nb_gates gates = nb_gates_default();
  gates.max_kld = 0.002;
  nb_gates_judge(&gates, c.cand, &c, &g);
  CHECK(g.n == 2 && g.gate[0].verdict != NB_VERDICT_FAIL && g.gate[1].verdict == NB_VERDICT_FAIL);
  CHECK(g.verdict == NB_VERDICT_FAIL);
  nb_comparison_free(&c);
  nb_result_free(&a), nb_result_free(&b);
}

TEST(gates) {
  nb_result a = make_run(8000, 4, 0, 0, 1), b = make_run(8000, 4, 0.001, 0, 2);
  nb_comparison c;
  nb_judgement r;
  CHECK_OK(nb_compare(&a, &b, &defaults, &c, &err));
  nb_gates g = nb_gates_default();
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.verdict == NB_VERDICT_PASS && r.n == 1);
  const char *file = "{\"margin\": 2, \"max_drop\": 0.5, \"max_kld\": 0.01, \"min_accuracy\": 99, \"max_memory\": 1e6}";
  CHECK_OK(nb_gates_parse(file, strlen(file), "nibble-gate.json", &g, &err));
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.n == 5 && r.gate[3].verdict == NB_VERDICT_FAIL && r.verdict == NB_VERDICT_FAIL);
  CHECK(r.gate[4].verdict == NB_VERDICT_UNDECIDED);
  b.has_measured = true, b.measured.memory.most.anon_bytes = 2000000;
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.gate[4].verdict == NB_VERDICT_FAIL && strstr(r.gate[4].text, "2.0 MB, limit 1.0 MB"));
  b.measured.memory.most.anon_bytes = 900000;
  g.min_accuracy = 10;
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.verdict == NB_VERDICT_PASS);
  const char *bad[][2] = {{"{\"margins\": 1}", "unknown key \"margins\""},
                          {"{\"margin\": -1}", "\"margin\" is -1"},
                          {"{\"margin\": \"1\"}", "margin"},
                          {"[]", "object"}};
  for (size_t i = 0; i < 4; i++)
    CHECK(nb_gates_parse(bad[i][0], strlen(bad[i][0]), "g.json", &g, &err) == NB_ERR_FORMAT &&
          strstr(err.msg, bad[i][1]));
  nb_comparison_free(&c);
  nb_result_free(&a), nb_result_free(&b);
}

/* A limit met exactly is met, whatever floating point makes of it; with a margin of 0 no number would do. */
TEST(gates_at_their_limit) {
  nb_result a = make_run(100, 4, 0, 0, 1);
  nb_comparison c;
  nb_judgement r;
  CHECK_OK(nb_compare(&a, &a, &defaults, &c, &err));
  nb_gates g = nb_gates_default();
  c.cand_score = 0.29, c.diff = 0.29 - 0.31;
  g.margin = NAN, g.min_accuracy = 29, g.max_drop = 2;
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.n == 2 && r.verdict == NB_VERDICT_PASS);
  g.min_accuracy = 29.001, g.max_drop = 1.999;
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(r.gate[0].verdict == NB_VERDICT_FAIL && r.gate[1].verdict == NB_VERDICT_FAIL);
  g = nb_gates_default(), g.margin = 0, c.test.verdict = NB_VERDICT_UNDECIDED, c.test.needed = INFINITY;
  nb_gates_judge(&g, c.cand, &c, &r);
  CHECK(strstr(r.gate[0].text, "no number would"));
  nb_comparison_free(&c);
  nb_result_free(&a);
}

/* ---- reports ---- */

static size_t count(const char *s, const char *what) {
  size_t n = 0;
  for (const char *p = s; (p = strstr(p, what)); p++) n++;
  return n;
}

TEST(reports) {
  nb_result a = make_run(300, 3, 0, 0, 1), b = make_run(300, 3, 0.3, 0.3, 2);
  nb_comparison c;
  nb_judgement g;
  nb_text t = {0};
  b.model.name = "x<y>&\"|`toy";
  CHECK_OK(nb_compare(&a, &b, &defaults, &c, &err));
  nb_gates gates = nb_gates_default();
  gates.max_drop = 50;
  nb_gates_judge(&gates, c.cand, &c, &g);
  CHECK_OK(nb_report_junit(&g, 1, &t, &err));
  CHECK(strstr(t.s, "<testsuites tests=\"2\" failures=\"1\"") && count(t.s, "<testcase ") == 2 &&
        count(t.s, "</testcase>") == 2);
  nb_text_clear(&t);
  CHECK_OK(nb_report_markdown(&g, 1, &t, &err));
  CHECK(strstr(t.s, "## nibble: FAIL") && strstr(t.s, "x&lt;y>&amp;\"\\|\\`toy") && strstr(t.s, "| subject\\_"));
  nb_text_clear(&t);
  CHECK_OK(nb_report_github(&g, 1, &t, &err));
  CHECK(!strncmp(t.s, "::error title=nibble margin fail::", 34) && count(t.s, "\n") == 2);
  nb_text_clear(&t);
  cJSON *j;
  CHECK_OK(nb_report_json(&g, 1, &t, &err));
  CHECK_OK(nb_json_parse(t.s, t.n, "report", &j, &err));
  CHECK_STR(nb_json_get(j, "verdict")->valuestring, "fail");
  CHECK((size_t)cJSON_GetArraySize(nb_json_get(j, "flips")) == c.gained + c.lost);
  CHECK(cJSON_GetArraySize(nb_json_get(j, "subjects")) == 3);
  cJSON_Delete(j);
  nb_text_clear(&t);
  const nb_result *others[] = {&a};
  CHECK_OK(nb_report_html(&g, others, 1, &t, &err));
  CHECK(count(t.s, "</script>") == 2 && count(t.s, "@DATA@") == 0 && count(t.s, "alert(1)") > 0);
  nb_text_free(&t);
  nb_comparison_free(&c);
  nb_result_free(&a), nb_result_free(&b);
}

/* ---- shards ---- */

TEST(merging) {
  nb_result whole = make_run(100, 5, 0, 0, 1), merged, shard[3];
  nb_text a = {0}, b = {0};
  for (size_t s = 0; s < 3; s++) {
    size_t begin = 100 * s / 3, end = 100 * (s + 1) / 3;
    shard[s] = whole;
    shard[s].pool = (nb_pool){0};
    shard[s].row = whole.row + begin, shard[s].n = end - begin;
    shard[s].protocol.shard = s, shard[s].protocol.shards = 3;
  }
  nb_result mixed[3] = {shard[2], shard[0], shard[1]};
  const char *const name[3] = {"c.json", "a.json", "b.json"};
  CHECK_OK(nb_merge(mixed, name, 3, &merged, &err));
  CHECK_OK(nb_result_write(&whole, &a, &err));
  CHECK_OK(nb_result_write(&merged, &b, &err));
  CHECK(a.n == b.n && !memcmp(a.s, b.s, a.n));
  nb_result_free(&merged);
  CHECK(nb_merge(mixed, name, 2, &merged, &err) == NB_ERR_ARG && strstr(err.msg, "shard 2 of 3 is missing"));
  mixed[0] = shard[1];
  CHECK(nb_merge(mixed, name, 3, &merged, &err) == NB_ERR_ARG && strstr(err.msg, "is given twice"));
  mixed[0] = shard[2], mixed[0].protocol.shots = 1;
  CHECK(nb_merge(mixed, name, 3, &merged, &err) == NB_ERR_ARG &&
        strstr(err.msg, "a.json is of another run than c.json"));
  CHECK(nb_merge(&whole, name, 1, &merged, &err) == NB_ERR_ARG && strstr(err.msg, "c.json: this run is no shard"));
  nb_text_free(&a), nb_text_free(&b);
  nb_result_free(&whole);
}

static const char *const *environment; /* name, value, ..., NULL */
static char *from_environment(const char *name) {
  for (const char *const *e = environment; *e; e += 2)
    if (!strcmp(e[0], name)) return (char *)e[1];
  return NULL;
}

TEST(shards_from_the_environment) {
  const struct {
    const char *env[10];
    size_t shard, shards;
  } known[] = {
      {{"SLURM_ARRAY_TASK_ID", "7", "SLURM_ARRAY_TASK_MIN", "5", "SLURM_ARRAY_TASK_MAX", "8"}, 2, 4},
      {{"SLURM_ARRAY_TASK_ID", "20", "SLURM_ARRAY_TASK_MIN", "0", "SLURM_ARRAY_TASK_MAX", "30", "SLURM_ARRAY_TASK_STEP",
        "10"},
       2,
       4},
      {{"SLURM_PROCID", "1", "SLURM_STEP_NUM_TASKS", "3"}, 1, 3},
      {{"OMPI_COMM_WORLD_RANK", "0", "OMPI_COMM_WORLD_SIZE", "2"}, 0, 2},
      {{"PMI_RANK", "3", "PMI_SIZE", "4"}, 3, 4},
      {{"CI_NODE_INDEX", "1", "CI_NODE_TOTAL", "4"}, 0, 4},
      {{"CIRCLE_NODE_INDEX", "1", "CIRCLE_NODE_TOTAL", "4"}, 1, 4},
      {{"NIBBLE_SHARD", "4", "NIBBLE_SHARDS", "4"}, 3, 4},
      {{"SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS", "1", "OMPI_COMM_WORLD_RANK", "1", "OMPI_COMM_WORLD_SIZE", "2"},
       1,
       2}};
  size_t shard, shards;
  const char *source;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    environment = known[i].env;
    CHECK_OK(nb_merge_shard_auto(from_environment, &shard, &shards, &source, &err));
    CHECK_MSG(shard == known[i].shard && shards == known[i].shards, "%s: %zu of %zu", source, shard, shards);
  }
  const char *const bad[][5] = {{NULL},
                                {"NIBBLE_SHARD", "0", "NIBBLE_SHARDS", "4"},
                                {"NIBBLE_SHARD", "5", "NIBBLE_SHARDS", "4"},
                                {"PMI_RANK", "x", "PMI_SIZE", "4"}};
  for (size_t i = 0; i < 4; i++) {
    environment = bad[i];
    CHECK(nb_merge_shard_auto(from_environment, &shard, &shards, &source, &err) == NB_ERR_ARG);
  }
}

int main(void) {
  RUN(only_like_with_like);
  RUN(numbers_of_a_comparison);
  RUN(many_subjects_take_no_longer);
  RUN(kl_sees_what_accuracy_does_not);
  RUN(gates);
  RUN(gates_at_their_limit);
  RUN(reports);
  RUN(merging);
  RUN(shards_from_the_environment);
  return test_end();
}
