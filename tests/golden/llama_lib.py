# SPDX-License-Identifier: MIT
"""llama.cpp in a script: its library from the wheel `xllamacpp`, called through ctypes, for tokens, perplexities, an
importance matrix and its own quantizer. It owns what is known here of llama.cpp's structures.

What llama.cpp's programs do with these functions is done here likewise: windows of 512 tokens without BOS
(llama-perplexity; the second half of each is scored), the mean squared inputs of every matrix (llama-imatrix
--process-output), each matrix row by row through ggml_quantize_chunk with these (llama-quantize --pure --imatrix; the
embedding has none).
"""
import ctypes as C, importlib.util, os, struct, sys, time
import numpy as np

CTX = 512
F32, F16, Q4_0, Q4_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL = 0, 1, 2, 3, 8, 12, 13, 14, 20  # ggml's numbers of types
BLOCKS = {Q4_0: (32, 18), Q4_1: (32, 20), Q8_0: (32, 34), Q4_K: (256, 144), Q5_K: (256, 176), Q6_K: (256, 210),
          IQ4_NL: (32, 18)}  # weights, bytes
TYPES = dict(q4_0=Q4_0, q4_1=Q4_1, q8_0=Q8_0, q4_k=Q4_K, iq4_nl=IQ4_NL)


class Tensor(C.Structure):
    pass


Tensor._fields_ = [("type", C.c_int), ("buffer", C.c_void_p), ("ne", C.c_int64 * 4), ("nb", C.c_size_t * 4),
                   ("op", C.c_int), ("op_params", C.c_int32 * 16), ("flags", C.c_int32), ("src", C.POINTER(Tensor) * 10),
                   ("view_src", C.c_void_p), ("view_offs", C.c_size_t), ("data", C.c_void_p), ("name", C.c_char * 64)]
Seen = C.CFUNCTYPE(C.c_bool, C.POINTER(Tensor), C.c_bool, C.c_void_p)


class ModelParams(C.Structure):  # left as the library fills them; a copy may be too long
    _fields_ = [("all", C.c_uint8 * 1024)]


class ContextParams(C.Structure):  # likewise behind the fields that are set
    _fields_ = [("n_ctx", C.c_uint32), ("n_batch", C.c_uint32), ("n_ubatch", C.c_uint32), ("counts", C.c_uint32 * 4),
                ("n_threads", C.c_int32), ("n_threads_batch", C.c_int32), ("kinds", C.c_int32 * 5),
                ("rope", C.c_float * 6), ("yarn_ctx", C.c_uint32), ("defrag", C.c_float), ("seen", C.c_void_p),
                ("seen_data", C.c_void_p), ("type_k", C.c_int32), ("type_v", C.c_int32), ("rest", C.c_uint8 * 912)]


class Batch(C.Structure):
    _fields_ = [("n", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)),
                ("n_seq", C.POINTER(C.c_int32)), ("seq", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8))]


def library():
    folder = importlib.util.find_spec("xllamacpp").submodule_search_locations[0]
    l = C.CDLL(os.path.join(folder, "xllamacpp.abi3.so"))
    for name, result in (("llama_model_default_params", ModelParams), ("llama_context_default_params", ContextParams),
                         ("llama_model_load_from_file", C.c_void_p), ("llama_init_from_model", C.c_void_p),
                         ("llama_model_get_vocab", C.c_void_p), ("llama_batch_init", Batch),
                         ("llama_get_memory", C.c_void_p), ("llama_get_logits_ith", C.POINTER(C.c_float)),
                         ("llama_model_chat_template", C.c_char_p), ("ggml_op_name", C.c_char_p),
                         ("ggml_quantize_chunk", C.c_size_t)):
        getattr(l, name).restype = result
    l.quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(
        lambda level, s, _: level == 4 and print(s.decode(), end="", file=sys.stderr))  # errors
    l.llama_log_set(l.quiet, None)
    return l


class Model:
    """A GGUF file that llama.cpp has loaded."""

    def __init__(self, lib, path):
        self.l = lib
        self.model = C.c_void_p(lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params()))
        assert self.model, f"llama.cpp does not load {path}"
        self.vocab = C.c_void_p(lib.llama_model_get_vocab(self.model))
        self.n_vocab = lib.llama_vocab_n_tokens(self.vocab)

    def close(self):
        self.l.llama_model_free(self.model)

    def has_template(self):
        return bool(self.l.llama_model_chat_template(self.model, None))

    def tokenize(self, text, special=False):
        """special: with what the file's tokenizer adds, such as BOS."""
        ids = (C.c_int32 * (len(text) + 8))()
        n = self.l.llama_tokenize(self.vocab, text, len(text), ids, len(ids), C.c_bool(special), C.c_bool(True))
        assert n >= 0
        return list(ids[:n])

    def text(self, ids):
        out = C.create_string_buffer(64 * len(ids) + 64)
        n = self.l.llama_detokenize(self.vocab, (C.c_int32 * len(ids))(*ids), len(ids), out, len(out), C.c_bool(False),
                                    C.c_bool(True))
        assert n >= 0
        return out.raw[:n]

    def context(self, n_ctx, n_batch, cache=F32, seen=None, threads=None):
        """A context, and a batch for it, in passes of at most CTX tokens."""
        p = self.l.llama_context_default_params()
        assert p.type_k == p.type_v == F16 and not p.seen, "llama.cpp's structures have changed: compare llama.h"
        p.n_ctx, p.n_batch, p.n_ubatch = n_ctx, n_batch, min(n_batch, CTX)
        p.n_threads = p.n_threads_batch = threads or len(os.sched_getaffinity(0))
        p.type_k = p.type_v = cache
        p.seen = C.cast(seen, C.c_void_p) if seen else None
        return C.c_void_p(self.l.llama_init_from_model(self.model, p)), self.l.llama_batch_init(n_batch, 0, 1)

    def run(self, ctx, batch, tokens, first, wanted):
        """Tokens at the positions from `first`; logits where wanted(i)."""
        batch.n = len(tokens)
        for i, t in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq[i], batch.logits[i] = t, first + i, 1, wanted(i)
            batch.seq[i][0] = 0
        assert self.l.llama_decode(ctx, batch) == 0

    def logits(self, ctx, i):
        return np.ctypeslib.as_array(self.l.llama_get_logits_ith(ctx, i), (self.n_vocab,)).astype(np.float64)

    def clear(self, ctx):
        self.l.llama_memory_clear(C.c_void_p(self.l.llama_get_memory(ctx)), C.c_bool(True))

    def greedy(self, ids, n):
        """The most likely token n times after ids, and by how much each was more likely than the next."""
        ctx, batch = self.context(CTX, CTX)
        out, gaps, new, at = [], [], list(ids), 0
        while len(out) < n:
            last = len(new) - 1
            self.run(ctx, batch, new, at, lambda i: i == last)
            at += len(new)
            x = self.logits(ctx, last)
            second, best = np.argsort(x)[-2:]
            gaps.append(float(x[best] - x[second]))
            new = [int(best)]
            out += new
        self.l.llama_free(ctx)
        return out, gaps

    def windows(self, ids, chunks, scored, seen=None):
        """Runs the windows one by one, the cache in F32; yields each with a reader of row i's logits."""
        ctx, batch = self.context(CTX, CTX, seen=seen)
        for k in range(min(chunks, len(ids) // CTX)):
            window = ids[k * CTX:(k + 1) * CTX]
            self.clear(ctx)
            self.run(ctx, batch, window, 0, scored)
            yield window, lambda i: self.logits(ctx, i)
        self.l.llama_free(ctx)

    def logprobs(self, ids, chunks):
        """Of every token of the windows but their first."""
        out = []
        for window, row in self.windows(ids, chunks, lambda i: i < CTX - 1):
            for i in range(CTX - 1):
                x = row(i)
                m = x.max()
                out.append(x[window[i + 1]] - m - np.log(np.exp(x - m).sum()))
        return np.array(out)

    def speed(self, prompt=CTX, tokens=64, times=3, threads=None):
        """Tokens a second, each the best of a few times: of a prompt, and of tokens that are run one by one from its end
        on. As llama-bench does it, ids that mean nothing; the cache in F16, passes of at most 512 tokens."""
        (ctx, batch), best = self.context(prompt + tokens, prompt, F16, threads=threads), [0, 0]

        def run(first, n):
            self.run(ctx, batch, [(first + i) * 7919 % self.n_vocab for i in range(n)], first, lambda i: i + 1 == n)
            self.l.llama_synchronize(ctx)

        for _ in range(times):
            self.clear(ctx)
            start = time.perf_counter()
            run(0, prompt)
            middle = time.perf_counter()
            for i in range(tokens): run(prompt + i, 1)
            end = time.perf_counter()
            best = [max(best[0], prompt / (middle - start)), max(best[1], tokens / (end - middle))]
        self.l.llama_free(ctx)
        return best

    def importance(self, ids, chunks):
        """The mean squared inputs of each matrix by its name."""
        sums, counts = {}, {}

        @Seen
        def seen(t, ask, _):
            t = t.contents
            if not t.src[0] or self.l.ggml_op_name(t.op) != b"MUL_MAT": return not ask
            name, x = t.src[0].contents.name.decode(), t.src[1].contents
            if not name.endswith(".weight"): return not ask
            if ask: return True
            assert x.type == F32 and x.nb[0] == 4 and x.nb[1] == 4 * x.ne[0]
            rows = np.ctypeslib.as_array(C.cast(x.data, C.POINTER(C.c_float)), (x.ne[1], x.ne[0])).astype(np.float64)
            sums[name] = sums.get(name, 0) + (rows * rows).sum(axis=0)
            counts[name] = counts.get(name, 0) + len(rows)
            return True

        for _ in self.windows(ids, chunks, lambda i: 1, seen):
            pass
        return {name: (s / counts[name]).astype(np.float32) for name, s in sums.items()}


def type_of(type_name, name, layers):
    """The type of a matrix: as llama-quantize --pure has it, or of the mixture q4_k_m as it chooses for these names."""
    if type_name != "q4_k_m": return TYPES[type_name]
    if name == "output.weight": return Q6_K
    if "attn_qkv" in name: return Q5_K
    if "attn_v" not in name and "ffn_down" not in name: return Q4_K
    i = int(name.split(".")[1])
    return Q6_K if i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2 else Q4_K


def quantize(lib, source, importance, type_name, out):
    """Writes the BF16 file `source` again with its matrices in the types that type_of says; those whose rows are no whole
    blocks become Q8_0, as in nibble's exports."""
    from gguf import GGUFReader
    r = GGUFReader(source)
    layers = 1 + max(int(t.name.split(".")[1]) for t in r.tensors if t.name.startswith("blk."))
    head, begin, data = open(source, "rb").read(r.tensors[0].field.offset), 0, []
    table = b""
    for t in r.tensors:
        shape = [int(n) for n in t.shape]
        if len(shape) == 1:
            bytes_, kind = t.data.tobytes(), int(t.tensor_type)
        else:
            K, N = shape
            to = type_of(type_name, t.name, layers)
            to = to if K % BLOCKS[to][0] == 0 else Q8_0
            block, size = BLOCKS[to]
            assert t.tensor_type.name == "BF16" and K % block == 0, t.name
            x = np.ascontiguousarray((t.data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(N, K))
            h = importance.get(t.name)
            made = np.empty(N * K // block * size, np.uint8)
            n = lib.ggml_quantize_chunk(to, C.c_void_p(x.ctypes.data), C.c_void_p(made.ctypes.data), C.c_int64(0),
                                        C.c_int64(N), C.c_int64(K), C.c_void_p(h.ctypes.data) if h is not None else None)
            assert n == len(made)
            bytes_, kind = made.tobytes(), to
        name = t.name.encode()
        table += struct.pack(f"<Q{len(name)}sI{len(shape)}QIQ", len(name), name, len(shape), *shape, kind, begin)
        data.append(bytes_ + bytes(-len(bytes_) % r.alignment))
        begin += len(data[-1])
    with open(out, "wb") as f:
        f.write(head + table + bytes(-len(head + table) % r.alignment))
        for d in data:
            f.write(d)
