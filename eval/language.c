/* SPDX-License-Identifier: MIT */
#include "eval/language.h"

#include "base/text.h"
#include "eval/strings.h"

/* A script's first and last character. A language whose words are NULL is taken by script alone. */
typedef struct language {
  const char *code;
  int32_t first, last;
  const char *words; /* with blanks around each; those that tell it from its neighbours */
} language;

static const language languages[] = {
    {"ja", 0x3040, 0x30ff, NULL},
    {"ko", 0xac00, 0xd7a3, NULL},
    {"zh", 0x4e00, 0x9fff, NULL},
    {"th", 0x0e00, 0x0e7f, NULL},
    {"bn", 0x0980, 0x09ff, NULL},
    {"pa", 0x0a00, 0x0a7f, NULL},
    {"gu", 0x0a80, 0x0aff, NULL},
    {"ta", 0x0b80, 0x0bff, NULL},
    {"te", 0x0c00, 0x0c7f, NULL},
    {"kn", 0x0c80, 0x0cff, NULL},
    {"ml", 0x0d00, 0x0d7f, NULL},
    {"he", 0x0590, 0x05ff, NULL},
    {"hi", 0x0900, 0x097f,
     " है और में के का की को "
     "से हैं यह पर नहीं एक लिए "},
    {"mr", 0x0900, 0x097f,
     " आहे आणि मध्ये च्या आहेत हे "
     "ते तो नाही एक असे होते "},
    {"ne", 0x0900, 0x097f,
     " छ र को मा हो छन् "
     "लागि गर्न यो पनि भएको गरेको "},
    {"ar", 0x0600, 0x06ff, " في من على أن إلى هذا التي هذه مع كان عن "},
    {"fa", 0x0600, 0x06ff, " و در به از که این را با است برای آن یک می شود "},
    {"ur", 0x0600, 0x06ff, " کے میں ہے کی اور سے کا کو ہیں یہ نے پر "},
    {"ru", 0x0400, 0x04ff, " и в не на что с как это по но он для из мы было "},
    {"uk", 0x0400, 0x04ff, " і в не на що з як це та до від але для є він "},
    {"bg", 0x0400, 0x04ff, " и на да се от за не с е в по като са че до "},
    {"en", 'A', 0x024f, " the of and to in is that it for you was with are this be have not "},
    {"es", 'A', 0x024f, " de la que el en y los se del las un por con una para es no al como su "},
    {"pt", 'A', 0x024f, " de que o a e do da em um para com não uma os no se na por mais as ao é "},
    {"fr", 'A', 0x024f, " de la le et les des en un une du que est pour qui dans pas sur au avec il ce "},
    {"de", 'A', 0x024f, " der die und in den von zu das mit sich des auf für ist im dem nicht ein eine es "},
    {"it", 'A', 0x024f, " di che la il e un a per in una del non sono della con si le dei da è gli "},
    {"pl", 'A', 0x024f, " w i na z do się nie to że jest o jak po od za dla są przez ale "},
    {"vi", 'A', 0x1eff, " và của là có trong được cho một những không với các người này để "},
    {"sw", 'A', 0x024f, " na ya wa kwa ni katika za la kuwa hii cha watu yake pia au kama "},
    {"fi", 'A', 0x024f, " ja on ei että se ovat oli hän mutta kun joka myös tai voi olla kanssa "}};

/* Letters of the text in the language's script, and its words in the text (each counts as ten letters more). */
static double likeness(const language *l, const nb_text *lower) {
  double letters = 0, words = 0;
  size_t len;
  for (size_t i = 0; i < lower->n; i += len) {
    int32_t c = nb_strings_char(lower->s, lower->n, i, &len);
    letters += c >= l->first && c <= l->last && (c >= 128 || (c >= 'a' && c <= 'z'));
  }
  for (size_t i = 0; l->words && i < lower->n;) {
    size_t n = strcspn(lower->s + i, " \t\n.,;:!?\"'()*");
    char word[40];
    if (n && n < sizeof word - 2) {
      word[0] = ' ', memcpy(word + 1, lower->s + i, n), word[n + 1] = ' ', word[n + 2] = 0;
      words += strstr(l->words, word) != NULL;
    }
    i += n + 1;
  }
  return letters > 0 ? letters + 10 * words : 0;
}

const char *nb_language_of(const char *text, size_t n) {
  nb_text lower = {0};
  nb_err err;
  const char *best = NULL;
  double most = 0;
  if (nb_strings_lower(text, n, &lower, &err) == NB_OK)
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++) {
      double v = likeness(&languages[i], &lower);
      if (v > most) most = v, best = languages[i].code;
    }
  nb_text_free(&lower);
  return best;
}
