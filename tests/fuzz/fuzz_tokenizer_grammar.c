/* SPDX-License-Identifier: MIT */
/* A tokenizer.json that is well formed, with settings beside it, and a text for it: what loads must encode and decode,
 * or say why not, and have a compact form that does the same. */
#include "formats/tokenizer_dir.h"
#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WAYS(name, ...) static const char *const name[] = {__VA_ARGS__}
#define RULE(letter, name)                                                                                             \
  { letter, name, sizeof name / sizeof *name }
#define FLAGS "\"single_word\":`B,\"lstrip\":`B,\"rstrip\":`B,\"normalized\":`B,\"special\":`B"

WAYS(files,
     "{\"added_tokens\":[`A],\"normalizer\":`N,\"pre_tokenizer\":`P,\"post_processor\":`O,\"decoder\":`D,\"model\":{"
     "\"type\":\"BPE\","
     "\"vocab\":{`V},\"merges\":[`M],\"unk_token\":`U,\"byte_fallback\":`B,\"fuse_unk\":`B,\"ignore_merges\":`B}}");
WAYS(vocabs,
     "\"a\":0,\"b\":1,\"ab\":2,\"aab\":3,\" \":4,\"<unk>\":5,\"\xe2\x96\x81\":6,\"\xe2\x96\x81"
     "a\":7,\"\xc4\xa0\":8,\"\xc4\xa0"
     "a\":9,\"\xc3\xa9\":10",
     "\"a\":0,\"b\":1,\"ab\":2,\"aab\":3,\"<unk>\":9", "\"<0x61>\":0,\"<0xC3>\":1,\"<0xA9>\":2,\"b\":3,\"<unk>\":4");
WAYS(merges, "", "\"a b\"", "\"a b\",\"a ab\"",
     "[\"a\",\"b\"],[\"a\",\"ab\"],[\"\xc4\xa0\",\"a\"],[\"\xe2\x96\x81\",\"a\"]", "\"a b\",\"a b\"");
WAYS(unknowns, "null", "\"<unk>\"", "\"a\"", "\"x\"");
WAYS(bools, "false", "true");
WAYS(tokens, "", "`T", "`T,`T", "`T,`T,`T");
WAYS(token, "{\"id\":11,\"content\":`S," FLAGS "}");
WAYS(strings, "\"a\"", "\"<s>\"", "\"</s>\"", "\"aa\"", "\" \"", "\"\"", "\"\xc3\x89\"", "\"b\\u0000\"", "\"a b\"",
     "\"\xf0\x9f\x98\x80\"", "\"aaaaaaaaaaaaaaaa\"");
WAYS(patterns, "{\"String\":`S}", "{\"Regex\":\"\\\\s+\"}", "{\"Regex\":\"(?:a|b)*\"}", "{\"Regex\":\"\"}",
     "{\"Regex\":\"(?=b)|\\\\p{L}+|\\\\d{1,3}|(?i:'s)\"}", "{\"Regex\":\"[^a](?!b)|$|^\"}", "{\"Regex\":\"(a+)+$\"}",
     "{\"Regex\":\"(?<=a)b\"}");
WAYS(normalizers, "null", "{\"type\":\"Prepend\",\"prepend\":`S}",
     "{\"type\":\"Replace\",\"pattern\":`R,\"content\":`S}", "{\"type\":\"NFC\"}", "{\"type\":\"NFKD\"}",
     "{\"type\":\"Lowercase\"}", "{\"type\":\"Strip\",\"strip_left\":`B,\"strip_right\":`B}",
     "{\"type\":\"ByteLevel\"}", "{\"type\":\"Sequence\",\"normalizers\":[`n,`n,`n]}");
WAYS(some_normalizer, "{\"type\":\"NFD\"}", "{\"type\":\"Replace\",\"pattern\":`R,\"content\":`S}",
     "{\"type\":\"Prepend\",\"prepend\":`S}", "{\"type\":\"Lowercase\"}",
     "{\"type\":\"Sequence\",\"normalizers\":[`n,`n]}");
WAYS(splitters, "null", "`p", "{\"type\":\"Sequence\",\"pretokenizers\":[`p,`p,`p]}");
WAYS(some_splitter, "{\"type\":\"ByteLevel\",\"add_prefix_space\":`B,\"use_regex\":`B}",
     "{\"type\":\"Split\",\"pattern\":`R,\"behavior\":\"`h\",\"invert\":`B}",
     "{\"type\":\"Digits\",\"individual_digits\":`B}", "{\"type\":\"Whitespace\"}", "{\"type\":\"WhitespaceSplit\"}",
     "{\"type\":\"Punctuation\",\"behavior\":\"`h\"}",
     "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"`s\",\"split\":`B}");
WAYS(behaviors, "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous");
WAYS(schemes, "always", "first", "never");
WAYS(processors, "null", "{\"type\":\"ByteLevel\"}",
     "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}],"
     "\"special_tokens\":{\"x\":{\"ids\":[0,1]}}}");
WAYS(decoders, "null", "`d", "{\"type\":\"Sequence\",\"decoders\":[`d,`d,`d]}");
WAYS(some_decoder, "{\"type\":\"Fuse\"}", "{\"type\":\"Replace\",\"pattern\":`R,\"content\":`S}",
     "{\"type\":\"ByteFallback\"}", "{\"type\":\"ByteLevel\"}",
     "{\"type\":\"Strip\",\"content\":\"a\",\"start\":1,\"stop\":2}",
     "{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"`s\"}");
WAYS(configs, "{}",
     "{\"bos_token\":`S,\"pad_token\":{\"content\":`S," FLAGS "},\"image_token\":`S,\"extra_special_tokens\":[`S,`S]}",
     "{\"added_tokens_decoder\":{\"30\":{\"content\":`S," FLAGS "},\"7\":{\"content\":`S}},\"eos_token\":`S}",
     "{\"additional_special_tokens\":[`S,{\"content\":`S," FLAGS "}],\"extra_special_tokens\":{\"k\":`S}}");
WAYS(olds, "{}", "{\"<x>\":40,\"a\":3}");
WAYS(texts, "ab", "`t`t", "aab \xc3\xa9", "<s>a  b</s>", "\xf0\x9f\x98\x80\xcc\x81 1234's", "   \n",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "\xff\xc3");

static bool use(const nb_tokenizer *t, const nb_text *text, unsigned flags, nb_ids *ids, nb_text *out) {
  return nb_tokenizer_encode(t, text->s, text->n, flags, ids, NULL) == NB_OK &&
         nb_tokenizer_decode(t, ids->id, ids->n, flags & 2, out, NULL) == NB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const grammar_rule rules[] = {
      RULE('F', files),         RULE('V', vocabs),       RULE('M', merges),          RULE('U', unknowns),
      RULE('B', bools),         RULE('A', tokens),       RULE('T', token),           RULE('S', strings),
      RULE('R', patterns),      RULE('N', normalizers),  RULE('n', some_normalizer), RULE('P', splitters),
      RULE('p', some_splitter), RULE('h', behaviors),    RULE('s', schemes),         RULE('O', processors),
      RULE('D', decoders),      RULE('d', some_decoder), RULE('C', configs),         RULE('o', olds),
      RULE('t', texts)};
  grammar g = {rules, sizeof rules / sizeof *rules, data, n, 0};
  nb_text part[5] = {{0}}, saved = {0}, out[2] = {{0}};
  nb_ids ids[2] = {{0}};
  for (int i = 0; i < 5; i++) grammar_expand(&g, "FCCot"[i], &part[i]);
  nb_tokenizer_files f = {.json = {part[0].s, part[0].n, "json"}, .config = {part[1].s, part[1].n, "config"}};
  if (n % 2) f.map = (nb_source){part[2].s, part[2].n, "map"}, f.added = (nb_source){part[3].s, part[3].n, "added"};
  nb_tokenizer *t, *u;
  if (nb_tokenizer_from_files(&f, &t, NULL) == NB_OK) {
    bool ok = use(t, &part[4], n % 8, &ids[0], &out[0]);
    if (nb_tokenizer_save(t, &saved, NULL) != NB_OK || nb_tokenizer_load(saved.s, saved.n, &u, NULL) != NB_OK) abort();
    if (use(u, &part[4], n % 8, &ids[1], &out[1]) != ok || out[0].n != out[1].n || ids[0].n != ids[1].n) abort();
    if (ok && out[0].n && memcmp(out[0].s, out[1].s, out[0].n)) abort();
    nb_tokenizer_free(t);
    nb_tokenizer_free(u);
  }
  for (int i = 0; i < 5; i++) nb_text_free(&part[i]);
  for (int i = 0; i < 2; i++) nb_text_free(&out[i]), nb_ids_free(&ids[i]);
  nb_text_free(&saved);
  return 0;
}
