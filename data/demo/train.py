#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the demo checkpoint on the synthetic set of make_data.py (needs torch, tokenizers, safetensors).

usage: train.py OUT_DIR [--minutes M] [--steps N] [--resume DONE] [--seed S] [--threads T]
writes tokenizer.json, tokenizer_config.json, config.json, generation_config.json and model.safetensors (BF16) to
OUT_DIR: a Phi-3 checkpoint as Hugging Face has it, with Phi-3's kind of tokenizer (BPE with byte fallback) and chat
form. Progress (loss, accuracy on val questions, at float and after rounding to 4 bits) goes to standard output.

Training has three parts, by the share that is done. First single questions of the four subjects in FIRST, then of all;
from 0.3 on also whole prompts in MMLU's form (header, answered questions of one subject, as many as fit: so every
answer is trained with 0 to about 8 examples before it), and among them statements of facts and chats. At the beginning
many questions only ask for a word that stands in them. The start is not quite from nothing: see head_start.
"""
import argparse, json, math, os, random, time
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
import make_data

VOCAB, D, FFN, LAYERS, HEADS, KV_HEADS = 1536, 192, 512, 4, 6, 3
HEAD_DIM, THETA, EPS, CONTEXT = D // HEADS, 10000.0, 1e-5, 1024
FIRST = ["antonyms", "invented_geography", "list_puzzles", "taxonomy"]  # what training begins with
SHORT, LONG = (64, 40), (12, 320)  # a batch: rows and tokens, one question a row or a whole prompt
BASIC, ADDED = ["<unk>", "<s>", "</s>"], ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
CHAT = ("{% for message in messages %}{{'<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n'}}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}")


# -- text ----------------------------------------------------------------------------------------------------------

class Text:
    """Draws training text, rows of one kind each; never a question of another split than train."""

    def __init__(self, seed):
        self.data, self.rng = make_data.Data(0), random.Random(f"train {seed}")
        self.all_facts = [f for facts in self.data.facts.values() for f in facts]
        self.subjects, self.copied = make_data.SUBJECTS, False
        self.words = sorted({f.answer for f in self.all_facts})

    def copying(self):
        """The easiest question there is: it teaches that a letter stands for the text after it."""
        answer = self.rng.choice(self.words)
        said = self.rng.choice([f"Choose the word {answer}.", f"Which of these is {answer}?", f"Find {answer}."])
        return make_data.Row(self.rng, said, answer, make_data.others(self.rng, self.words, answer))

    def prompt(self, easy, headed):
        """Header and an endless stream of answered questions of one subject."""
        subject = self.rng.choice(self.subjects)
        self.copied = copy = self.rng.random() < easy
        if headed:
            yield make_data.header(subject, 2 if self.rng.random() < 0.75 else 1)
        while True:
            yield (self.copying() if copy else self.data.draw(self.rng, subject, "train")).text()

    def statements(self):
        while True:
            yield self.rng.choice(self.all_facts).statement + self.rng.choice([" ", " ", "\n"])

    def chats(self):
        while True:
            fact, said = self.rng.choice(self.data.said[self.rng.choice(sorted(make_data.FACTS)), "train"])
            yield f"<|user|>\n{said}<|end|>\n<|assistant|>\n{fact.statement}<|end|>\n<|endoftext|>"


def make_tokenizer(path):
    """BPE with byte fallback over words, numbers and single signs, saved in the form of Llama's and Phi-3's files."""
    text = Text("tokenizer")
    corpus = []
    for _ in range(1500):
        for source, n in ((text.prompt(0.1, True), 9), (text.statements(), 9)):
            corpus.append("".join(next(source) for _ in range(n)).replace(" ", "▁"))
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("\n"), "removed"),
        pre_tokenizers.Split(Regex("▁?[A-Za-z]+|▁?[0-9]+|▁|[^▁A-Za-z0-9]"), "isolated")])
    letters = [chr(c) for c in range(33, 127)] + ["▁"]
    size = VOCAB - len(BASIC) - 256 - len(ADDED)
    learner.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, initial_alphabet=letters, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = BASIC + [f"<0x{i:02X}>" for i in range(256)] + sorted(learned["vocab"], key=learned["vocab"].get)
    tok = Tokenizer(models.BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=[tuple(m) for m in learned["merges"]],
                               unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])
    from tokenizers import AddedToken
    tok.add_special_tokens([AddedToken(t, normalized=False) for t in BASIC + ADDED[:1]])
    tok.add_special_tokens([AddedToken(t, rstrip=True, normalized=False) for t in ADDED[1:]])
    tok.save(path)
    return tok


class Batches:
    """Token rows, targets and weights of targets."""

    def __init__(self, tok, seed):
        self.tok, self.text = tok, Text(seed)
        self.letters = torch.tensor([tok.encode(f"Answer: {l}").ids[-1] for l in make_data.LETTERS])
        self.colon = tok.encode("Answer:").ids[-1]
        self.pad = tok.token_to_id("<|endoftext|>")

    def row(self, easy, tokens, chat):
        kind = self.text.rng.random() if chat else 1.0
        source = (self.text.statements() if kind < 0.05 else self.text.chats() if kind < 0.09 else
                  self.text.prompt(easy, tokens > 100))
        text = ""
        while len(text) < tokens * 6:
            text += next(source)
        ids = self.tok.encode(text).ids[:tokens + 1]
        return ids + [self.pad] * (tokens + 1 - len(ids)), kind >= 0.09, self.text.copied

    def next(self, easy, rows, tokens, chat):
        ids, quiz, copied = zip(*(self.row(easy, tokens, chat) for _ in range(rows)))
        x = torch.tensor(ids)
        answers = (x[:, :-1] == self.colon) & torch.isin(x[:, 1:], self.letters) & torch.tensor(quiz)[:, None]
        some = ~torch.tensor(quiz)[:, None].expand(rows, tokens)
        return x[:, :-1].contiguous(), x[:, 1:].contiguous(), answers, some & ~answers, torch.tensor(copied)


# -- model ---------------------------------------------------------------------------------------------------------

def rope_table(n):
    inv = THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM)
    angle = torch.arange(n)[:, None] * inv
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


def attend(q, k, v):
    """Causal attention in two blocks of queries, which on a CPU is twice as fast as torch's own."""
    t, out = q.shape[2], []
    mask = torch.full((t, t), float("-inf"), dtype=q.dtype).triu(1)
    for start, end in ((0, t // 2), (t // 2, t)):
        s = (q[:, :, start:end] * HEAD_DIM ** -0.5) @ k[:, :, :end].transpose(-1, -2) + mask[start:end, :end]
        out.append(torch.softmax(s, -1, dtype=s.dtype) @ v[:, :, :end])
    return torch.cat(out, 2)


def fresh_weights(seed):
    g = torch.Generator().manual_seed(seed)
    m = lambda n, k, gain=1.0: torch.randn(n, k, generator=g) * gain / k ** 0.5
    w = {"model.embed_tokens.weight": torch.randn(VOCAB, D, generator=g) * 0.5}
    for l in range(LAYERS):
        p = f"model.layers.{l}."
        w[p + "input_layernorm.weight"] = torch.ones(D)
        w[p + "self_attn.qkv_proj.weight"] = m((HEADS + 2 * KV_HEADS) * HEAD_DIM, D)
        w[p + "self_attn.o_proj.weight"] = m(D, HEADS * HEAD_DIM, 0.3)
        w[p + "post_attention_layernorm.weight"] = torch.ones(D)
        w[p + "mlp.gate_up_proj.weight"] = m(2 * FFN, D)
        w[p + "mlp.down_proj.weight"] = m(D, FFN, 0.3)
    w["model.norm.weight"] = torch.ones(D)
    w["lm_head.weight"] = m(VOCAB, D, 0.005)
    return w


def choice_tokens(tok):
    """First tokens of all that can be a choice."""
    words = {str(n) for n in range(30)}
    for facts in make_data.Data(0).facts.values():
        for f in facts:
            words |= {f.answer, *f.pool}
    return sorted({tok.encode(x).ids[0] for x in words})


GATHER, MATCH, NEAR, SLOW = 1.0, 2.0, 2.5, 8


def head_start(w, tok, seed):
    """Change fresh weights so that training need not discover how to look back, which takes small models longest.

    Layer 0's heads look 1, 2, 3, 4, 0 and 5 tokens back (RoPE turns a constant in channel 0 into the offset). The middle
    layers' first heads gather what stands outside the choices, the others prefer tokens like the one that asks. The last
    layer's first four heads look at what follows a choice's letter, at that which is like the gathered, and can say
    the letter. All but layer 0 prefer near tokens. What the right choice has to do with the question, they must learn.
    Channels: 0 constant; 1-5 "a letter" and which; 6-10 the same of the token two back; 11-14 the letter to say; 15 a word
    that can be a choice."""
    g = torch.Generator().manual_seed(seed + 1)
    theta, half, group = THETA ** (-torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM), HEAD_DIM // 2, HEADS // KV_HEADS
    content, gathered = torch.zeros(2, HEAD_DIM, D)  # rows orthogonal, channels 0-15 left out
    basis = torch.linalg.qr(torch.randn(D - 16, 2 * HEAD_DIM, generator=g))[0].T
    content[:, 16:], gathered[:, 16:] = basis.split(HEAD_DIM)
    slow = [*range(SLOW, half - 1), *range(half + SLOW, HEAD_DIM - 1)]  # dimensions that hardly rotate
    embed, head = w["model.embed_tokens.weight"], w["lm_head.weight"]
    embed[:, 0], embed[:, 1:16] = 1.0, 0.0
    embed[choice_tokens(tok), 15] = 2.0
    for i, l in enumerate(make_data.LETTERS):
        embed[tok.token_to_id(l), 1], embed[tok.token_to_id(l), 2 + i] = 2.0, 2.0
        head[:, 11 + i] = 0
        head[tok.encode(f"Answer: {l}").ids[-1], 11 + i] = 0.6
    rest = embed[:, 16:]
    rest *= ((48 - embed[:, :16].square().sum(1, keepdim=True)) / rest.square().sum(1, keepdim=True)).sqrt()
    for l in range(LAYERS):
        w[f"model.layers.{l}.mlp.down_proj.weight"][:16] = 0
        qkv, o = (w[f"model.layers.{l}.self_attn.{n}_proj.weight"] for n in ("qkv", "o"))
        q, k, v = (z.view(-1, HEAD_DIM, D) for z in qkv.split([n * HEAD_DIM for n in (HEADS, KV_HEADS, KV_HEADS)]))
        o = o.view(D, HEADS, HEAD_DIM)
        for h in range(HEADS):
            kv, first = h // group, h % group == 0
            o[:, h] = 0.4 * torch.linalg.qr(torch.randn(D, HEAD_DIM, generator=g))[0]
            o[:16, h] = 0
            if l == 0:
                back, n = (1, 2, 3, 4, 0, 5)[h], 4
                k[kv] = 0
                k[kv, :n, 0] = 3
                q[h] *= 0.1
                q[h, :n, 0] = 3 * torch.cos(back * theta[:n])
                q[h, half:half + n, 0] = -3 * torch.sin(back * theta[:n])
                if back == 2:
                    v[kv, :5], v[kv, :, 1:6] = 0, 0
                    v[kv, :5, 1:6] = torch.eye(5)
                    o[:, h, :5] = 0
                    o[6:11, h, :5] = torch.eye(5)
                continue
            if l < LAYERS - 1 and kv == 0:
                q[h] *= 0.1
                q[h, half - 1, 0] = 2.0
                if first:
                    k[kv] *= 0.1
                    k[kv, half - 1, 15], k[kv, half - 1, 6] = 2.0, -4.0
                    v[kv] = content
                    o[:, h] = GATHER * gathered.T
            elif l < LAYERS - 1:
                if first:
                    k[kv] *= 0.8
                    q[h] = k[kv]
            elif kv < 2:
                q[h] *= 0.1
                q[h, slow] = MATCH * gathered[(HEAD_DIM - len(slow)) * kv:][:len(slow)]
                if first:
                    k[kv] *= 0.1
                    k[kv, slow] = MATCH * content[(HEAD_DIM - len(slow)) * kv:][:len(slow)]
                    k[kv, half - 1] = 0
                    k[kv, half - 1, 6] = 1.5
                    v[kv, :4], v[kv, :, 7:11] = 0, 0
                    v[kv, :4, 7:11] = torch.eye(4)
                q[h, half - 1, 0] = 4.0
                o[:, h, :4] = 0
                o[11:15, h, :4] = torch.eye(4)
            q[h, 6:8, 0] = k[kv, 6:8, 0] = NEAR


def hidden(w, ids, cos, sin):
    """States after the last norm, (rows, tokens, D)."""
    b, t = ids.shape
    norm = lambda x, n: F.rms_norm(x, (D,), w[n], EPS)
    x = F.embedding(ids, w["model.embed_tokens.weight"])
    for l in range(LAYERS):
        p = f"model.layers.{l}."
        y = F.linear(norm(x, p + "input_layernorm.weight"), w[p + "self_attn.qkv_proj.weight"])
        q, k, v = y.view(b, t, -1, HEAD_DIM).transpose(1, 2).split([HEADS, KV_HEADS, KV_HEADS], 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (z.repeat_interleave(HEADS // KV_HEADS, 1) for z in (k, v))
        a = attend(q, k, v)
        x = x + F.linear(a.transpose(1, 2).reshape(b, t, -1), w[p + "self_attn.o_proj.weight"])
        y = F.linear(norm(x, p + "post_attention_layernorm.weight"), w[p + "mlp.gate_up_proj.weight"])
        gate, up = y.chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, w[p + "mlp.down_proj.weight"])
    return norm(x, "model.norm.weight")


def loss_of(w, batch, letters, cos, sin):
    """The choice among the four letters, and text. That a letter comes at all is left to the head alone: the layers'
    short way to it, writing "some letter" from everywhere, would drown which."""
    ids, target, answers, some, copied = batch
    h = hidden(w, ids, cos, sin)
    at = F.linear(h[answers], w["lm_head.weight"][letters]).float()
    which = (target[answers][:, None] == letters).int().argmax(1)
    each = F.cross_entropy(at, which, reduction="none")
    choice, easy = each.mean(), copied[answers.nonzero()[:, 0]]
    loss = choice + 0.05 * F.cross_entropy(F.linear(h[answers].detach(), w["lm_head.weight"]).float(), target[answers])
    if some.any():
        loss = loss + 0.2 * F.cross_entropy(F.linear(h[some], w["lm_head.weight"]).float(), target[some])
    return loss, each[~easy].mean().item(), each[easy].mean().item()


# -- measuring -----------------------------------------------------------------------------------------------------

def rounded(w, group=64):
    """Every matrix at 4 bits, symmetric, a scale for each 64 weights: what the plainest quantizer would do."""
    out = {}
    for n, x in w.items():
        if x.dim() == 2 and "embed" not in n and "lm_head" not in n:
            g = x.reshape(x.shape[0], -1, group)
            s = g.abs().amax(-1, keepdim=True) / 7
            x = ((g / s).round().clamp(-8, 7) * s).reshape(x.shape)
        out[n] = x
    return out


@torch.no_grad()
def accuracy(w, tok, split, n, shots=make_data.SHOTS):
    """Share right by subject, on the first n questions of each, in the original script's form."""
    data, out = make_data.Data(0), {}
    cos, sin = rope_table(CONTEXT)
    letters = [tok.encode(f"Answer: {l}").ids[-1] for l in make_data.LETTERS]
    for s in make_data.SUBJECTS:
        start = make_data.header(s) + "".join(r.text() for r in data.rows(s, "dev", make_data.SHOTS)[:shots])
        right = 0
        rows = data.rows(s, split, n)
        for r in rows:
            ids = torch.tensor([tok.encode(start + r.text(answered=False)).ids])
            h = hidden(w, ids, cos[:ids.shape[1]], sin[:ids.shape[1]])[0, -1]
            right += int(F.linear(h, w["lm_head.weight"])[letters].argmax()) == r.answer
        out[s] = right / len(rows)
    return out


def shown(accuracies):
    mean = sum(accuracies.values()) / len(accuracies)
    return f"{mean:.3f}: " + " ".join(f"{s} {x:.2f}" for s, x in accuracies.items())


def save(folder, w):
    save_file({n: x.detach().to(torch.bfloat16).contiguous() for n, x in w.items()},
              os.path.join(folder, "model.safetensors.part"), metadata={"format": "pt"})
    os.chmod(os.path.join(folder, "model.safetensors.part"), 0o644)
    os.replace(os.path.join(folder, "model.safetensors.part"), os.path.join(folder, "model.safetensors"))


def save_configs(folder, tok):
    end = tok.token_to_id("<|endoftext|>")
    config = dict(architectures=["Phi3ForCausalLM"], model_type="phi3", hidden_act="silu", hidden_size=D,
                  intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
                  vocab_size=VOCAB, rms_norm_eps=EPS, rope_theta=THETA, rope_scaling=None, max_position_embeddings=CONTEXT,
                  original_max_position_embeddings=CONTEXT, sliding_window=None, attention_bias=False,
                  attention_dropout=0.0, embd_pdrop=0.0, resid_pdrop=0.0, initializer_range=0.02,
                  tie_word_embeddings=False, bos_token_id=1, eos_token_id=end, pad_token_id=end, torch_dtype="bfloat16",
                  use_cache=True)
    generation = dict(bos_token_id=1, eos_token_id=[end, tok.token_to_id("<|end|>")], pad_token_id=end)
    tokenizer = dict(tokenizer_class="PreTrainedTokenizerFast", add_bos_token=False, add_eos_token=False,
                     bos_token="<s>", eos_token="<|endoftext|>", pad_token="<|endoftext|>", unk_token="<unk>",
                     clean_up_tokenization_spaces=False, model_max_length=CONTEXT, chat_template=CHAT)
    for name, x in (("config", config), ("generation_config", generation), ("tokenizer_config", tokenizer)):
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
            json.dump(x, f, indent=2)
            f.write("\n")


# -- training ------------------------------------------------------------------------------------------------------

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--minutes", type=float, default=1e9, help="stop after so long; the schedule follows the clock")
    ap.add_argument("--steps", type=int, default=3000)
    ap.add_argument("--resume", type=float, default=0, metavar="DONE",
                    help="go on with OUT_DIR's weights from this share")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--lr", type=float, default=0.001)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    tok = make_tokenizer(os.path.join(a.out, "tokenizer.json"))
    save_configs(a.out, tok)
    w = fresh_weights(a.seed)
    head_start(w, tok, a.seed)
    if a.resume:
        w = {n: x.float() for n, x in load_file(os.path.join(a.out, "model.safetensors")).items()}
    w = {n: x.requires_grad_() for n, x in w.items()}
    print(f"{sum(x.numel() for x in w.values()):,} weights", flush=True)
    embed, look_back = w["model.embed_tokens.weight"], w["model.layers.0.self_attn.qkv_proj.weight"]
    writers = [x for n, x in w.items() if "o_proj" in n or "down_proj" in n]
    others = [x for x in w.values() if x is not embed]
    adam = torch.optim.AdamW([dict(params=[embed]), dict(params=others)], weight_decay=0.0, betas=(0.9, 0.98))
    batches, (cos, sin) = Batches(tok, a.seed + round(1000 * a.resume)), rope_table(CONTEXT)
    start, mean, saved = time.time(), {SHORT: 1.4, LONG: 1.4, "easy": 1.0}, time.time()
    step, done = 0, a.resume
    while done < 1:
        easy = max(0.05, 0.4 - 0.6 * done)
        rows, tokens = LONG if done > 0.8 or done > 0.3 and step % 2 else SHORT
        batches.text.subjects = FIRST if done < 0.2 else make_data.SUBJECTS
        with torch.autocast("cpu", torch.bfloat16):
            loss, part, easy_part = loss_of(w, batches.next(easy, rows, tokens, done > 0.6), batches.letters,
                                            cos[:tokens], sin[:tokens])
        loss.backward()
        rate = min(1, (step + 1) / 20) * min(1, (1 - done) / 0.4)
        for group, lr in zip(adam.param_groups, (5 * a.lr, a.lr)):
            group["lr"] = lr * rate
        embed.grad[:, :16] = 0  # what head_start needs to stay as it is
        look_back.grad[:(HEADS + KV_HEADS) * HEAD_DIM] = 0
        for x in writers:
            x.grad[:16] = 0
        adam.step()
        for x in w.values():
            x.grad = None
        step += 1
        done = a.resume + max(step / a.steps, (time.time() - start) / 60 / a.minutes)
        mean[rows, tokens] += 0.1 * (part - mean[rows, tokens])
        mean["easy"] += 0.1 * (easy_part - mean["easy"]) if easy_part == easy_part else 0
        if step % 25 == 0:
            t = time.time() - start
            print(f"step {step} {t:.0f} s, loss: one question {mean[SHORT]:.3f}, whole prompts {mean[LONG]:.3f}, "
                  f"copying {mean['easy']:.3f}", flush=True)
        if time.time() - saved > 120 or done >= 1:
            save(a.out, w)
            acc = accuracy(w, tok, "val", 8)
            print("val", shown(acc), flush=True)
            saved = time.time()
    for name, x in (("float", w), ("4 bits", rounded({n: x.detach() for n, x in w.items()}))):
        acc = accuracy(x, tok, "val", make_data.VAL)
        print(f"{name}: val", shown(acc))


if __name__ == "__main__":
    main()
