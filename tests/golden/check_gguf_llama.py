#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Perplexity and ids of a GGUF file by llama.cpp itself, to compare with `nibble kld` and `nibble tokenize`.

usage: check_gguf_llama.py NIBBLE FILE.gguf TEXT [CHUNKS]     Needs: pip install xllamacpp numpy

Windows of 512 tokens without BOS, of each the second half is scored, as nibble kld does with --bos no. Fails when the ids
differ or the perplexities are more than 0.5 % apart.
"""
import ctypes as C, importlib.util, json, os, subprocess, sys
import numpy as np

CTX = 512


class Opaque(C.Structure):  # parameters: their beginning is all that is set here, and a copy may be too long
    _fields_ = [("n_ctx", C.c_uint32), ("n_batch", C.c_uint32), ("n_ubatch", C.c_uint32), ("rest", C.c_uint8 * 1012)]


class Batch(C.Structure):
    _fields_ = [("n", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)),
                ("n_seq", C.POINTER(C.c_int32)), ("seq", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8))]


def library():
    folder = importlib.util.find_spec("xllamacpp").submodule_search_locations[0]
    l = C.CDLL(os.path.join(folder, "xllamacpp.abi3.so"))
    for name, result in (("llama_model_default_params", Opaque), ("llama_context_default_params", Opaque),
                         ("llama_model_load_from_file", C.c_void_p), ("llama_init_from_model", C.c_void_p),
                         ("llama_model_get_vocab", C.c_void_p), ("llama_batch_init", Batch), ("llama_get_memory", C.c_void_p),
                         ("llama_get_logits_ith", C.POINTER(C.c_float)), ("llama_model_chat_template", C.c_char_p)):
        getattr(l, name).restype = result
    return l


def tokenize(l, vocab, text):
    ids = (C.c_int32 * (len(text) + 8))()
    n = l.llama_tokenize(C.c_void_p(vocab), text, len(text), ids, len(ids), C.c_bool(False), C.c_bool(True))
    assert n >= 0
    return list(ids[:n])


def perplexity(l, model, ids, n_vocab, chunks):
    p = l.llama_context_default_params()
    p.n_ctx = p.n_batch = p.n_ubatch = CTX
    ctx = C.c_void_p(l.llama_init_from_model(C.c_void_p(model), p))
    batch, nll, n = l.llama_batch_init(CTX, 0, 1), 0.0, 0
    for k in range(min(chunks, len(ids) // CTX)):
        window = ids[k * CTX:(k + 1) * CTX]
        l.llama_memory_clear(C.c_void_p(l.llama_get_memory(ctx)), C.c_bool(True))
        batch.n = CTX
        for i, t in enumerate(window):
            batch.token[i], batch.pos[i], batch.n_seq[i], batch.logits[i] = t, i, 1, 1
            batch.seq[i][0] = 0
        assert l.llama_decode(ctx, batch) == 0
        for i in range(CTX // 2 - 1, CTX - 1):
            x = np.ctypeslib.as_array(l.llama_get_logits_ith(ctx, i), (n_vocab,)).astype(np.float64)
            m = x.max()
            nll += m + np.log(np.exp(x - m).sum()) - x[window[i + 1]]
            n += 1
    return float(np.exp(nll / n))


def main():
    nibble, path, text_path = sys.argv[1:4]
    chunks = int(sys.argv[4]) if len(sys.argv) > 4 else 8
    text = open(text_path, "rb").read()
    l = library()
    log = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda level, s, _: level >= 4 and print(s.decode(), end=""))
    l.llama_log_set(log, None)
    model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
    assert model, "llama.cpp does not load it"
    vocab = l.llama_model_get_vocab(C.c_void_p(model))
    n_vocab = l.llama_vocab_n_tokens(C.c_void_p(vocab))
    ids = tokenize(l, vocab, text)
    run = lambda *a: subprocess.run([nibble, *a], capture_output=True, check=True, text=True).stdout
    ours = [int(x) for x in run("tokenize", path, "-f", text_path).split()]
    theirs = perplexity(l, model, ids, n_vocab, chunks)
    j = json.loads(run("kld", path, path, "--text", text_path, "--ctx", str(CTX), "--chunks", str(chunks), "--bos", "no",
                       "--json", "-q"))
    ppl = j["cand_ppl"]
    print(json.dumps(dict(file=os.path.basename(path), ids=len(ids), same_ids=ids == ours, llama_cpp=theirs, nibble=ppl,
                          apart=abs(ppl / theirs - 1), template=bool(l.llama_model_chat_template(C.c_void_p(model), None)))))
    sys.exit(ids != ours or abs(ppl / theirs - 1) > 0.005)


if __name__ == "__main__":
    main()
