/* SPDX-License-Identifier: MIT */
/* libnibble for a Java virtual machine: nibble.Native's functions.
 *
 * Java hands in numbers, and anything may stand in them: a handle is the place of an entry in a table and how often
 * that place was used before, so that a closed or invented one is recognised. An entry that is in use is freed by its
 * last user. The library's models are for one thread at a time: calls on one wait for each other here. */
#include "nibble.h"

#include <jni.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- handles ---- */

enum { ENTRIES = 256 };
typedef enum entry_kind { FREE, MODEL, SESSION } entry_kind;

typedef struct entry {
  entry_kind kind;
  uint32_t uses; /* of this place, as its handles have it */
  int users;     /* calls that are under way, and of a model its sessions */
  bool closed;   /* freed when the last user leaves */
  void *object;
  struct entry *model;  /* of a session: its model; of a model: itself */
  pthread_mutex_t turn; /* of a model: one call at a time */
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the table */
static entry table[ENTRIES];

static jlong handle_of(const entry *e) { return (jlong)e->uses << 16 | (e - table); }

static void throw_name(JNIEnv *env, const char *name, const char *text) {
  jclass c = (*env)->FindClass(env, name);
  if (c) (*env)->ThrowNew(env, c, text);
}

static void throw_argument(JNIEnv *env, const char *text) {
  throw_name(env, "java/lang/IllegalArgumentException", text);
}

/* Whose owner is told when it asks for it again, out of a callback, instead of waiting for itself. */
static void make_turn(pthread_mutex_t *turn) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
  pthread_mutex_init(turn, &a);
  pthread_mutexattr_destroy(&a);
}

/* A new entry; 0 after an exception, and the object is the caller's. */
static jlong add_entry(JNIEnv *env, entry_kind kind, void *object, entry *model) {
  entry *e = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < ENTRIES && !e; i++)
    if (table[i].kind == FREE) e = &table[i];
  if (e) {
    const uint32_t uses = e->uses + 1;
    *e = (entry){.kind = kind, .uses = uses & 0x7fffffff ? uses & 0x7fffffff : 1, .object = object, .model = model};
    if (kind == MODEL) e->model = e, make_turn(&e->turn);
    else model->users++;
  }
  pthread_mutex_unlock(&lock);
  if (e) return handle_of(e);
  throw_name(env, "java/lang/IllegalStateException", "too many models and sessions are open");
  return 0;
}

/* The entry of a handle, of that kind (FREE: any), with one more user; NULL after an exception. */
static entry *take(JNIEnv *env, jlong handle, entry_kind kind) {
  const uint64_t at = (uint64_t)handle & 0xffff, uses = (uint64_t)handle >> 16;
  entry *e = at < ENTRIES ? &table[at] : NULL;
  pthread_mutex_lock(&lock);
  if (e && (e->kind == FREE || e->closed || e->uses != uses || (kind != FREE && e->kind != kind))) e = NULL;
  if (e) e->users++;
  pthread_mutex_unlock(&lock);
  if (!e) throw_name(env, "java/lang/IllegalStateException", "it is closed, or was never open");
  return e;
}

/* One user less; frees what is closed and unused, a session before its model. */
static void leave(entry *e) {
  while (e) {
    entry *next = NULL;
    void *object = NULL;
    entry_kind kind = FREE;
    pthread_mutex_lock(&lock);
    if (--e->users == 0 && e->closed) kind = e->kind, object = e->object;
    pthread_mutex_unlock(&lock);
    if (kind == SESSION) {
      next = e->model;
      const bool waited = pthread_mutex_lock(&next->turn) == 0; /* or its callback closes another of its sessions */
      nibble_session_close(object);
      if (waited) pthread_mutex_unlock(&next->turn);
    } else if (kind == MODEL) {
      nibble_close(object);
      pthread_mutex_destroy(&e->turn);
    }
    if (kind != FREE) {
      pthread_mutex_lock(&lock);
      e->kind = FREE; /* its count of uses stays */
      pthread_mutex_unlock(&lock);
    }
    e = next;
  }
}

static entry *take_turn(JNIEnv *env, jlong handle, entry_kind kind) {
  entry *e = take(env, handle, kind);
  if (!e || pthread_mutex_lock(&e->model->turn) == 0) return e;
  leave(e);
  throw_name(env, "java/lang/IllegalStateException", "a callback may not call its own model");
  return NULL;
}

static void leave_turn(entry *e) {
  pthread_mutex_unlock(&e->model->turn);
  leave(e);
}

/* ---- what crosses ---- */

static jbyteArray bytes_of(JNIEnv *env, const void *data, size_t n) {
  jbyteArray a = n > 0x7ffffff0 ? NULL : (*env)->NewByteArray(env, (jsize)n);
  if (a) (*env)->SetByteArrayRegion(env, a, 0, (jsize)n, data);
  return a;
}

/* Throws what a call said; false when it succeeded. */
static bool failed(JNIEnv *env, nibble_status st, const nibble_error *err) {
  if (st == NIBBLE_OK) return false;
  if ((*env)->ExceptionCheck(env)) return true; /* a callback's own */
  jclass c = (*env)->FindClass(env, "nibble/NibbleException");
  jmethodID make = c ? (*env)->GetMethodID(env, c, "<init>", "(I[B)V") : NULL;
  jbyteArray text = make ? bytes_of(env, err->text, strlen(err->text)) : NULL;
  jobject x = text ? (*env)->NewObject(env, c, make, (jint)st, text) : NULL;
  if (x) (*env)->Throw(env, x);
  return true;
}

static void out_of_memory(JNIEnv *env) { throw_name(env, "java/lang/OutOfMemoryError", "nibble"); }

/* Bytes with a NUL behind them, to be freed; NULL for null, or after an exception. */
static char *copy_bytes(JNIEnv *env, jbyteArray a, size_t *n) {
  *n = 0;
  if (!a) return NULL;
  const jsize length = (*env)->GetArrayLength(env, a);
  char *text = malloc((size_t)length + 1);
  if (!text) return out_of_memory(env), NULL;
  (*env)->GetByteArrayRegion(env, a, 0, length, (jbyte *)text);
  text[length] = 0;
  *n = (size_t)length;
  return text;
}

static void free_texts(char **text, size_t n) {
  for (size_t i = 0; text && i < n; i++) free(text[i]);
  free(text);
}

/* A list of texts; *out NULL for null. False after an exception. needed: no element may be null. */
static bool copy_texts(JNIEnv *env, jobjectArray a, bool needed, char ***out, size_t *n) {
  *out = NULL;
  *n = a ? (size_t)(*env)->GetArrayLength(env, a) : 0;
  if (!a) return true;
  *out = calloc(*n + 1, sizeof **out);
  if (!*out) return out_of_memory(env), false;
  for (size_t i = 0; i < *n; i++) {
    size_t length;
    jbyteArray one = (*env)->GetObjectArrayElement(env, a, (jsize)i);
    (*out)[i] = copy_bytes(env, one, &length);
    if (needed && !one) throw_argument(env, "a text is null");
    if (one) (*env)->DeleteLocalRef(env, one);
    if ((*env)->ExceptionCheck(env)) {
      free_texts(*out, *n);
      *out = NULL;
      return false;
    }
  }
  return true;
}

static int32_t *copy_ids(JNIEnv *env, jintArray a, size_t *n) {
  if (!a) return throw_argument(env, "the ids are null"), NULL;
  *n = (size_t)(*env)->GetArrayLength(env, a);
  int32_t *ids = malloc((*n + 1) * sizeof *ids);
  if (!ids) return out_of_memory(env), NULL;
  (*env)->GetIntArrayRegion(env, a, 0, (jsize)*n, (jint *)ids);
  return ids;
}

static jintArray ids_of(JNIEnv *env, const int32_t *ids, size_t n) {
  jintArray a = (*env)->NewIntArray(env, (jsize)n);
  if (a) (*env)->SetIntArrayRegion(env, a, 0, (jsize)n, (const jint *)ids);
  return a;
}

static jlongArray longs_of(JNIEnv *env, const jlong *x, jsize n) {
  jlongArray a = (*env)->NewLongArray(env, n);
  if (a) (*env)->SetLongArrayRegion(env, a, 0, n, x);
  return a;
}

/* ---- opening ---- */

typedef struct places {
  char **path;
  nibble_source *source;
  size_t n;
} places;

static void free_places(places *p) {
  free_texts(p->path, p->n);
  free(p->source);
}

static bool copy_places(JNIEnv *env, jobjectArray paths, jintArray fds, jlongArray offsets, jlongArray lengths,
                        places *out) {
  *out = (places){.n = 0};
  if (!paths || !fds || !offsets || !lengths) return throw_argument(env, "an array of places is null"), false;
  const jsize n = (*env)->GetArrayLength(env, paths);
  if ((*env)->GetArrayLength(env, fds) != n || (*env)->GetArrayLength(env, offsets) != n ||
      (*env)->GetArrayLength(env, lengths) != n)
    return throw_argument(env, "the arrays of places have different lengths"), false;
  if (!copy_texts(env, paths, false, &out->path, &out->n)) return false;
  out->source = calloc(out->n + 1, sizeof *out->source);
  if (!out->source) return free_places(out), out_of_memory(env), false;
  for (jsize i = 0; i < n; i++) {
    jint fd;
    jlong offset, length;
    (*env)->GetIntArrayRegion(env, fds, i, 1, &fd);
    (*env)->GetLongArrayRegion(env, offsets, i, 1, &offset);
    (*env)->GetLongArrayRegion(env, lengths, i, 1, &length);
    out->source[i] = (nibble_source){out->path[i], fd, (uint64_t)offset, (uint64_t)length};
  }
  return true;
}

typedef struct listener {
  JNIEnv *env;
  jobject object;
  jmethodID method;
} listener;

static void pass_line(void *ctx, const char *line) {
  const listener *l = ctx;
  if ((*l->env)->ExceptionCheck(l->env)) return;
  jbyteArray text = bytes_of(l->env, line, strlen(line));
  if (text) (*l->env)->CallVoidMethod(l->env, l->object, l->method, text);
  if (text) (*l->env)->DeleteLocalRef(l->env, text);
}

static bool find_method(JNIEnv *env, jobject o, const char *name, const char *type, listener *out) {
  *out = (listener){env, o, (*env)->GetMethodID(env, (*env)->GetObjectClass(env, o), name, type)};
  return out->method != NULL;
}

JNIEXPORT jlong JNICALL Java_nibble_Native_open(JNIEnv *env, jclass class, jobjectArray paths, jintArray fds,
                                                jlongArray offsets, jlongArray lengths, jint threads, jlong batch,
                                                jbyteArray kv, jlong limit, jint priority, jobject log) {
  places p;
  size_t n;
  listener l;
  nibble_error err;
  nibble_model *m = NULL;
  jlong handle = 0;
  (void)class;
  if (!copy_places(env, paths, fds, offsets, lengths, &p)) return 0;
  char *type = copy_bytes(env, kv, &n);
  nibble_options o = {.size = sizeof o,
                      .threads = threads,
                      .batch = (size_t)batch,
                      .kv = type,
                      .memory_limit = (uint64_t)limit,
                      .priority = (nibble_priority)priority};
  if (log && find_method(env, log, "line", "([B)V", &l)) o.log = pass_line, o.ctx = &l;
  if (!(*env)->ExceptionCheck(env) && !failed(env, nibble_open_sources(p.source, p.n, &o, &m, &err), &err) &&
      !(*env)->ExceptionCheck(env))
    handle = add_entry(env, MODEL, m, NULL);
  if (!handle) nibble_close(m);
  free(type);
  free_places(&p);
  return handle;
}

JNIEXPORT jlongArray JNICALL Java_nibble_Native_fit(JNIEnv *env, jclass class, jobjectArray paths, jintArray fds,
                                                    jlongArray offsets, jlongArray lengths, jint threads, jlong batch,
                                                    jbyteArray kv, jlong limit, jlong tokens) {
  places p;
  size_t n;
  nibble_error err;
  nibble_fit f = {.size = sizeof f};
  jlongArray answer = NULL;
  (void)class;
  if (!copy_places(env, paths, fds, offsets, lengths, &p)) return NULL;
  char *type = copy_bytes(env, kv, &n);
  const nibble_options o = {
      .size = sizeof o, .threads = threads, .batch = (size_t)batch, .kv = type, .memory_limit = (uint64_t)limit};
  if (!(*env)->ExceptionCheck(env) &&
      !failed(env, nibble_fit_sources(p.source, p.n, &o, (size_t)tokens, &f, &err), &err)) {
    const jlong x[] = {(jlong)f.mapped, (jlong)f.own,       (jlong)f.workspace,   (jlong)f.cache,
                       (jlong)f.tables, (jlong)f.available, (jlong)f.most_tokens, f.fits};
    answer = longs_of(env, x, 8);
  }
  free(type);
  free_places(&p);
  return answer;
}

JNIEXPORT void JNICALL Java_nibble_Native_close(JNIEnv *env, jclass class, jlong handle) {
  (void)class;
  entry *e = take(env, handle, FREE);
  if (!e) {
    (*env)->ExceptionClear(env);
    return;
  }
  pthread_mutex_lock(&lock);
  e->closed = true;
  pthread_mutex_unlock(&lock);
  if (e->kind == MODEL) nibble_interrupt(e->object, 1); /* whatever runs on it ends */
  leave(e);
}

/* ---- models ---- */

JNIEXPORT jbyteArray JNICALL Java_nibble_Native_version(JNIEnv *env, jclass class) {
  (void)class;
  return bytes_of(env, nibble_version(), strlen(nibble_version()));
}

JNIEXPORT jlongArray JNICALL Java_nibble_Native_describe(JNIEnv *env, jclass class, jlong model) {
  nibble_info i;
  (void)class;
  entry *e = take(env, model, MODEL);
  if (!e) return NULL;
  nibble_describe(e->object, &i);
  leave(e);
  const jlong x[] = {(jlong)i.layers, (jlong)i.width, (jlong)i.vocabulary, (jlong)i.max_position,
                     i.bos,           i.eos,          i.has_chat_template, (jlong)i.file_bytes};
  return longs_of(env, x, 8);
}

JNIEXPORT void JNICALL Java_nibble_Native_interrupt(JNIEnv *env, jclass class, jlong model, jboolean on) {
  (void)class;
  entry *e = take(env, model, MODEL);
  if (!e) return;
  nibble_interrupt(e->object, on);
  leave(e);
}

JNIEXPORT jintArray JNICALL Java_nibble_Native_tokenize(JNIEnv *env, jclass class, jlong model, jbyteArray text,
                                                        jint special) {
  int32_t *ids;
  size_t n, n_bytes;
  nibble_error err;
  jintArray answer = NULL;
  (void)class;
  if (!text) return throw_argument(env, "the text is null"), NULL;
  char *bytes = copy_bytes(env, text, &n_bytes);
  entry *e = bytes ? take(env, model, MODEL) : NULL;
  if (e && !failed(env, nibble_tokenize(e->object, bytes, n_bytes, special, &ids, &n, &err), &err)) {
    answer = ids_of(env, ids, n);
    nibble_free(ids);
  }
  if (e) leave(e);
  free(bytes);
  return answer;
}

JNIEXPORT jbyteArray JNICALL Java_nibble_Native_detokenize(JNIEnv *env, jclass class, jlong model, jintArray ids) {
  char *text;
  size_t n, n_bytes;
  nibble_error err;
  jbyteArray answer = NULL;
  (void)class;
  int32_t *list = copy_ids(env, ids, &n);
  entry *e = list ? take(env, model, MODEL) : NULL;
  if (e && !failed(env, nibble_detokenize(e->object, list, n, &text, &n_bytes, &err), &err)) {
    answer = bytes_of(env, text, n_bytes);
    nibble_free(text);
  }
  if (e) leave(e);
  free(list);
  return answer;
}

JNIEXPORT jbyteArray JNICALL Java_nibble_Native_chat(JNIEnv *env, jclass class, jlong model, jobjectArray roles,
                                                     jobjectArray contents) {
  char **role = NULL, **content = NULL, *text;
  size_t n, m = 0, n_bytes;
  nibble_error err;
  jbyteArray answer = NULL;
  nibble_message *list = NULL;
  entry *e = NULL;
  (void)class;
  if (!roles || !contents) return throw_argument(env, "the messages are null"), NULL;
  if (!copy_texts(env, roles, true, &role, &n) || !copy_texts(env, contents, true, &content, &m)) goto end;
  if (n != m) throw_argument(env, "as many roles as contents, please");
  else if (!(list = calloc(n + 1, sizeof *list))) out_of_memory(env);
  for (size_t i = 0; list && i < n; i++) list[i] = (nibble_message){role[i], content[i]};
  e = list ? take(env, model, MODEL) : NULL;
  if (e && !failed(env, nibble_chat(e->object, list, n, &text, &n_bytes, &err), &err)) {
    answer = bytes_of(env, text, n_bytes);
    nibble_free(text);
  }
end:
  if (e) leave(e);
  free(list);
  free_texts(role, n);
  free_texts(content, m);
  return answer;
}

/* ---- sessions ---- */

JNIEXPORT jlong JNICALL Java_nibble_Native_openSession(JNIEnv *env, jclass class, jlong model, jlong context,
                                                       jbyteArray kv) {
  size_t n;
  nibble_error err;
  nibble_session *s = NULL;
  jlong handle = 0;
  (void)class;
  char *type = copy_bytes(env, kv, &n);
  entry *e = (*env)->ExceptionCheck(env) ? NULL : take_turn(env, model, MODEL);
  if (e) {
    const nibble_session_options o = {.size = sizeof o, .context = (size_t)context, .kv = type};
    if (!failed(env, nibble_session_open(e->object, &o, &s, &err), &err)) handle = add_entry(env, SESSION, s, e);
    if (!handle) nibble_session_close(s);
    leave_turn(e);
  }
  free(type);
  return handle;
}

static int pass_piece(void *ctx, const char *piece, size_t n) {
  const listener *l = ctx;
  jbyteArray text = bytes_of(l->env, piece, n);
  jboolean more = text && (*l->env)->CallBooleanMethod(l->env, l->object, l->method, text);
  if (text) (*l->env)->DeleteLocalRef(l->env, text);
  return more && !(*l->env)->ExceptionCheck(l->env);
}

JNIEXPORT jlongArray JNICALL Java_nibble_Native_generate(JNIEnv *env, jclass class, jlong session, jintArray ids,
                                                         jlong most, jdouble temperature, jdouble top_p, jlong seed,
                                                         jobjectArray stop, jobject sink) {
  size_t n, n_stop, reused = 0;
  char **stops;
  listener l;
  nibble_error err;
  nibble_stats st;
  jlongArray answer = NULL;
  (void)class;
  if (!copy_texts(env, stop, true, &stops, &n_stop)) return NULL;
  int32_t *list = copy_ids(env, ids, &n);
  nibble_generation g = {.max_tokens = (size_t)most,
                         .temperature = temperature,
                         .top_p = top_p,
                         .seed = (uint64_t)seed,
                         .stop = (const char *const *)stops,
                         .n_stop = n_stop};
  if (list && sink && find_method(env, sink, "piece", "([B)Z", &l)) g.text = pass_piece, g.ctx = &l;
  entry *e = list && !(*env)->ExceptionCheck(env) ? take_turn(env, session, SESSION) : NULL;
  if (e && !failed(env, nibble_session_generate(e->object, list, n, &g, &st, &reused, &err), &err) &&
      !(*env)->ExceptionCheck(env)) {
    const jlong x[] = {(jlong)st.prompt_tokens,          (jlong)st.new_tokens,         (jlong)reused, st.ended,
                       (jlong)(st.prompt_seconds * 1e6), (jlong)(st.new_seconds * 1e6)};
    answer = longs_of(env, x, 6);
  }
  if (e) leave_turn(e);
  free(list);
  free_texts(stops, n_stop);
  return answer;
}

JNIEXPORT jintArray JNICALL Java_nibble_Native_tokens(JNIEnv *env, jclass class, jlong session) {
  size_t n = 0;
  jintArray answer = NULL;
  (void)class;
  entry *e = take_turn(env, session, SESSION);
  if (!e) return NULL;
  nibble_session_tokens(e->object, NULL, &n);
  int32_t *ids = malloc((n + 1) * sizeof *ids);
  if (ids) {
    nibble_session_tokens(e->object, ids, &n);
    answer = ids_of(env, ids, n);
  } else {
    out_of_memory(env);
  }
  leave_turn(e);
  free(ids);
  return answer;
}

JNIEXPORT void JNICALL Java_nibble_Native_reset(JNIEnv *env, jclass class, jlong session) {
  (void)class;
  entry *e = take_turn(env, session, SESSION);
  if (!e) return;
  nibble_session_reset(e->object);
  leave_turn(e);
}

static void with_file(JNIEnv *env, jlong session, jbyteArray path, bool save) {
  size_t n;
  nibble_error err;
  if (!path) {
    throw_argument(env, "the path is null");
    return;
  }
  char *text = copy_bytes(env, path, &n);
  entry *e = text ? take_turn(env, session, SESSION) : NULL;
  if (e) {
    failed(env, save ? nibble_session_save(e->object, text, &err) : nibble_session_load(e->object, text, &err), &err);
    leave_turn(e);
  }
  free(text);
}

JNIEXPORT void JNICALL Java_nibble_Native_save(JNIEnv *env, jclass class, jlong session, jbyteArray path) {
  (void)class;
  with_file(env, session, path, true);
}

JNIEXPORT void JNICALL Java_nibble_Native_load(JNIEnv *env, jclass class, jlong session, jbyteArray path) {
  (void)class;
  with_file(env, session, path, false);
}

/* ---- the machine ---- */

JNIEXPORT jlongArray JNICALL Java_nibble_Native_memory(JNIEnv *env, jclass class) {
  nibble_memory m;
  (void)class;
  nibble_memory_now(&m);
  const jlong x[] = {(jlong)m.file, (jlong)m.anon, (jlong)m.peak};
  return longs_of(env, x, 3);
}

JNIEXPORT jintArray JNICALL Java_nibble_Native_cores(JNIEnv *env, jclass class) {
  int32_t n[2];
  (void)class;
  nibble_cores(&n[0], &n[1]);
  return ids_of(env, n, 2);
}
