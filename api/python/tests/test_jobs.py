# SPDX-License-Identifier: MIT
"""Long jobs: quantizing, evaluating, comparing; their progress, and how they are stopped."""

import json
import signal
import subprocess
import sys
import time

import pytest

import nibble


def test_quantize_as_the_command(demo, nbl, program, tmp_path):
    subprocess.run([program, "quantize", "-q", demo, "-o", tmp_path / "a.nbl"], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "a.nbl").read_bytes() == nbl.read_bytes()


def test_progress_notes_and_going_on(demo, tmp_path):
    parts, notes = {}, []

    def progress(what, done, total):
        parts[what] = (done, total)
        if stop_at and what == "quantizing" and 2 * done >= total:
            return False

    how = dict(calib=demo / "calibrate.txt", tokens=512, seq=64, progress=progress, note=notes.append)
    stop_at = True
    out = tmp_path / "out.nbl"
    with pytest.raises(nibble.StoppedError):
        nibble.quantize(demo, out, **how)
    assert not out.exists() and (tmp_path / "out.nbl.part").exists()
    stop_at = False
    nibble.quantize(demo, out, **how)
    assert any("going on after" in n for n in notes)
    done, total = parts["quantizing"]
    assert done == total > 0


def test_an_exception_in_a_callback_comes_out(demo, model, questions, tmp_path):
    def progress(what, done, total):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nibble.quantize(demo, tmp_path / "x.nbl", progress=progress)
    with pytest.raises(KeyError, match="mine"):
        model.evaluate(questions, limit=2, progress=progress)
    # No file, but what the same call would go on from, if it came that far.
    assert {path.name for path in tmp_path.iterdir()} <= {"x.nbl.part"}


def test_a_callback_cannot_call_its_model(model, questions):
    with pytest.raises(RuntimeError, match="wait for itself"):
        model.evaluate(questions, limit=2, progress=lambda *_: bool(model.generate([1])))


def test_bad_options(demo, tmp_path):
    with pytest.raises(nibble.ArgumentError, match="bits"):
        nibble.quantize(demo, tmp_path / "x.nbl", bits=9)
    with pytest.raises(nibble.ArgumentError, match="would write over"):
        nibble.quantize(demo, demo / "model.safetensors")
    with pytest.raises(nibble.NibbleError, match="nowhere"):
        nibble.quantize(tmp_path / "nowhere", tmp_path / "x.nbl")


def test_evaluate_as_the_command(model, nbl, questions, program, tmp_path):
    out = tmp_path / "run.json"
    subprocess.run(
        [program, "eval", nbl, "--data", questions, "--limit", "5", "--shots", "2", "-q", "--out", out],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    steps = []
    have = model.evaluate(questions, limit=5, shots=2, progress=lambda *step: steps.append(step))
    want = json.loads(out.read_text())
    del have["measured"], want["measured"]
    assert have == want
    assert ("evaluating", have["total"]["n"], have["total"]["n"]) in steps
    assert model.evaluate(questions, limit=1, shots=0)["protocol"]["shots"] == 0
    subject = have["answers"][0]["subject"]
    assert {a["subject"] for a in model.evaluate(questions, subjects=[subject], limit=2)["answers"]} == {subject}


def test_journal(model, questions, tmp_path):
    journal = tmp_path / "journal"
    with pytest.raises(nibble.StoppedError):
        model.evaluate(questions, limit=5, journal=journal, progress=lambda what, d, _: what != "evaluating" or not d)
    assert journal.exists()
    whole, gone_on = model.evaluate(questions, limit=5), model.evaluate(questions, limit=5, journal=journal)
    assert gone_on["measured"]["from_journal"] > 0 and gone_on["answers"] == whole["answers"]


def test_compare(demo, model, questions, tmp_path):
    cand = model.evaluate(questions, limit=10)
    with nibble.Model(demo) as full:
        base = full.evaluate(questions, limit=10)
    c = nibble.compare(base, cand, gates={"margin": 60, "max_kld": 5})
    assert c.passed and c.verdict == c.report["verdict"] == "pass"
    assert nibble.compare(base, cand, gates={"max_kld": 1e-9}).verdict == "fail"
    (tmp_path / "base.json").write_text(json.dumps(base))
    assert nibble.compare(tmp_path / "base.json", cand).report == nibble.compare(base, cand).report
    with pytest.raises(nibble.NibbleError, match="marginn"):
        nibble.compare(base, cand, gates={"marginn": 1})
    with pytest.raises(nibble.ArgumentError):
        nibble.compare(base, model.evaluate(questions, limit=2))


INTERRUPTED = """
import sys, time, nibble
m = nibble.Model(sys.argv[1])
work = {
    "generate": lambda: [m.generate([1], max_tokens=900, temperature=9.0, seed=i) for i in range(10**6)],
    "stream": lambda: [list(m.stream([1], max_tokens=900, temperature=9.0, seed=i)) for i in range(10**6)],
    "score": lambda: m.score([1] * 500, [[2] * 500] * 10**4),
    "evaluate": lambda: [m.evaluate(sys.argv[2]) for _ in range(10**6)],
    "quantize": lambda: [
        nibble.quantize(sys.argv[4], sys.argv[5], calib=sys.argv[4] + "/calibrate.txt") for _ in range(10**6)
    ],
}[sys.argv[3]]
print("ready", flush=True)
try:
    work()
except KeyboardInterrupt:
    # The model works on as if nothing had been.
    print("interrupted", m.generate([1], max_tokens=3).new_tokens, flush=True)
"""


@pytest.mark.parametrize("what", ["generate", "stream", "score", "evaluate", "quantize"])
def test_ctrl_c(what, demo, nbl, questions, tmp_path):
    p = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, nbl, questions, what, demo, tmp_path / "x.nbl"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert p.stdout.readline() == "ready\n"
        time.sleep(0.7)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=60)
        assert out == "interrupted 3\n" and p.returncode == 0
    finally:
        p.kill()
        p.wait()


def test_no_crash_at_the_end_of_a_program(nbl):
    """A model that is open, and one that writes, when the interpreter ends."""
    code = "import sys, nibble; m = nibble.Model(sys.argv[1]); s = m.stream([1], max_tokens=900); next(s)"
    p = subprocess.run([sys.executable, "-c", code, nbl], capture_output=True, text=True, timeout=60)
    assert p.returncode == 0 and p.stderr == ""


def test_memory():
    m = nibble.memory()
    assert m.peak >= m.anon > 0
