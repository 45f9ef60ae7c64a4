# SPDX-License-Identifier: MIT
"""Models: text, scores, logits, errors, and closing."""

import gc
import math
import pickle
import subprocess
import threading

import numpy as np
import pytest

import nibble

QUESTION = [{"role": "user", "content": "the ant"}]


def test_info(model, nbl):
    i = model.info
    assert (i.architecture, i.layers, i.has_chat_template) == ("Phi3ForCausalLM", 4, True)
    assert i.file_bytes == nbl.stat().st_size
    assert i.bos is not None and i.eos is not None
    assert str(nbl) in repr(model)


def test_text_and_back(model):
    ids = model.tokenize("Where is the ant?")
    assert ids.dtype == np.int32 and ids.ndim == 1
    assert model.detokenize(ids) == "Where is the ant?"
    assert model.detokenize([int(i) for i in ids]) == model.detokenize(ids)
    assert model.detokenize([]) == "" and len(model.tokenize("", special=False)) == 0
    assert "the ant" in model.chat(QUESTION)


def test_same_text_as_the_command(model, nbl, program):
    text = subprocess.run(
        [program, "generate", nbl, "-p", "the ant", "-n", "16", "-q"], capture_output=True, check=True, text=True
    ).stdout
    written = model.generate(model.tokenize(model.chat(QUESTION), special=False), max_tokens=16)
    assert text.strip() == written.text.strip()
    assert written.new_tokens <= 16 and written.prompt_tokens > 0 and written.ended in ("length", "end")


def test_stream_is_generate(model):
    stream = model.stream("the ant", max_tokens=24)
    pieces = list(stream)
    whole = model.generate("the ant", max_tokens=24)
    assert len(pieces) > 3 and "".join(pieces) == whole.text == stream.generation.text
    assert list(stream) == []


def test_sampling_by_seed(model):
    texts = [model.generate("the ant", max_tokens=24, temperature=1.5, top_p=0.95, seed=s).text for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_stop_strings(model):
    whole = model.generate("the ant", max_tokens=24).text
    end = whole[6:8]
    cut = model.generate("the ant", max_tokens=24, stop=["never", end])
    assert cut.text == whole[: whole.index(end)] and cut.ended == "stop"
    with pytest.raises(nibble.ArgumentError, match="empty"):
        model.generate("the ant", stop=[""])


def test_leaving_a_stream_ends_it(model):
    for _ in model.stream("the ant", max_tokens=900):
        break
    gc.collect()
    stream = model.stream("the ant", max_tokens=900)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert model.generate("the ant", max_tokens=2).new_tokens == 2


def test_scores_follow_from_logits(model):
    context, after = model.tokenize("the ant is"), model.tokenize(" in the garden", special=False)
    logits = model.logits(np.concatenate([context, after])).astype(np.float64)
    assert logits.shape == (len(context) + len(after), model.info.vocabulary)
    logprobs = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) - logits.max(
        1, keepdims=True
    )
    rows = len(context) - 1 + np.arange(len(after))
    (score, nothing) = model.score("the ant is", [" in the garden", []])
    assert math.isclose(score.logprob, logprobs[rows, after].sum(), abs_tol=1e-3)
    assert score.greedy == bool((logits[rows].argmax(1) == after).all())
    assert nothing == (0.0, True)
    assert np.array_equal(model.logits(context, last=1)[0], model.logits(context)[-1])
    assert model.score("x", []) == []


def test_errors(tmp_path, model, nbl):
    with pytest.raises(nibble.NibbleError, match="nowhere") as caught:
        nibble.Model(tmp_path / "nowhere")
    assert isinstance(caught.value, OSError)
    broken = tmp_path / "broken.nbl"
    broken.write_bytes(nbl.read_bytes()[:-1000])
    with pytest.raises(nibble.FormatError, match="broken.nbl"):
        nibble.Model(broken)
    with pytest.raises(nibble.ArgumentError, match="kv|q17"):
        nibble.Model(nbl, kv="q17")
    with pytest.raises(nibble.ArgumentError, match="out of range"):
        nibble.Model(nbl, batch=-1)
    with pytest.raises(nibble.ArgumentError):
        model.score([10**12], [[1]])
    with pytest.raises(nibble.ArgumentError, match="positions"):
        model.score([1] * 5000, [[1]])
    with pytest.raises(TypeError):
        model.score([0.5], [[1]])
    with pytest.raises(nibble.ArgumentError, match="NUL"):
        nibble.Model("a\0b")
    with pytest.raises(ValueError):
        model.logits([1, 2], last=3)
    with pytest.raises(nibble.ArgumentError, match="max_tokens"):
        model.generate("x", max_tokens=0)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(model)


def test_use_after_close(nbl):
    m = nibble.Model(nbl)
    with m:
        assert not m.closed
    m.close()
    assert m.closed and "closed" in repr(m)
    calls = [
        lambda: m.tokenize("x"),
        lambda: m.detokenize([1]),
        lambda: m.chat(QUESTION),
        lambda: m.generate("x"),
        lambda: m.generate([1]),
        lambda: m.stream([1]),
        lambda: m.score([1], [[1]]),
        lambda: m.logits([1]),
        lambda: m.evaluate("x"),
    ]
    for call in calls:
        with pytest.raises(nibble.ClosedError):
            call()


def test_closing_ends_what_runs(nbl):
    m = nibble.Model(nbl)
    stream = m.stream("the ant", max_tokens=1000, temperature=3.0)
    waiting = threading.Thread(target=lambda: pytest.raises(nibble.NibbleError, m.generate, [1], max_tokens=1000))
    next(stream)
    waiting.start()
    m.close()
    waiting.join(20)
    assert not waiting.is_alive()
    try:
        for _ in stream:
            pass
    except nibble.StoppedError:
        pass
    else:
        assert stream.generation  # it was faster


def test_many_threads(model):
    want = model.score("the ant is", [" in"])[0]
    text = model.generate("the ant", max_tokens=8).text
    wrong = []

    def work():
        for _ in range(5):
            if model.score("the ant is", [" in"])[0] != want or model.generate("the ant", max_tokens=8).text != text:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_forgotten_models_are_closed(nbl):
    for _ in range(50):
        nibble.Model(nbl, threads=1).tokenize("x")
    gc.collect()
    assert sum(t.name.startswith("nibble") for t in threading.enumerate()) < 10
