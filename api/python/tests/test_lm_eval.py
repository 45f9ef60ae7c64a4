# SPDX-License-Identifier: MIT
"""nibble inside lm-evaluation-harness gives the scores that `nibble eval` gives: the harness's own run, from its
command line, over questions that stand in a local file. Skips without lm_eval."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("lm_eval", reason="lm_eval is not here: pip install lm_eval==0.4.13")
pytest.importorskip("datasets", reason="the datasets package is not here")

from lm_eval.api.instance import Instance  # noqa: E402

from nibble.lm_eval import NibbleLM  # noqa: E402

# As data/tasks/mmlu.json has its prompts, preset lm-eval, without examples.
TASK = """
task: nibble_demo
dataset_path: csv
dataset_kwargs:
  data_files: {{test: "{data}"}}
  column_names: [question, a, b, c, d, answer]
test_split: test
num_fewshot: 0
output_type: multiple_choice
description: "The following are multiple choice questions (with answers) about {subject}.\\n\\n"
doc_to_text: "{{{{question.strip()}}}}\\nA. {{{{a}}}}\\nB. {{{{b}}}}\\nC. {{{{c}}}}\\nD. {{{{d}}}}\\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]
doc_to_target: answer
metric_list: [{{metric: acc}}]
"""


def ask(kind, *args):
    return Instance(request_type=kind, doc={}, arguments=args, idx=0)


@pytest.fixture(scope="module")
def lm(nbl):
    return NibbleLM(str(nbl), threads=2)


@pytest.mark.parametrize("form", ["nbl", "demo"])
def test_scores_of_nibble_eval(form, request, questions, program, tmp_path):
    model = request.getfixturevalue(form)
    data = sorted((questions / "test").glob("*.csv"))[0]
    subject = data.name.replace("_test.csv", "")
    out = tmp_path / "run.json"
    subprocess.run(
        [program, "eval", model, "--data", questions, "--preset", "lm-eval", "--subjects", subject, "--shots", "0",
         "--limit", "40", "-q", "--out", out],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    ours = json.loads(out.read_text())
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/demo.yaml").write_text(TASK.format(data=data, subject=subject.replace("_", " ")))
    subprocess.run(
        [sys.executable, "-m", "nibble.lm_eval", "--model", "nibble", "--model_args", f"pretrained={model},threads=2",
         "--tasks", "nibble_demo", "--include_path", tmp_path / "tasks", "--limit", "40", "--log_samples",
         "--output_path", tmp_path / "out"],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    (results,) = (tmp_path / "out").rglob("results_*.json")
    (samples,) = (tmp_path / "out").rglob("samples_*.jsonl")
    theirs = json.loads(results.read_text())["results"]["nibble_demo"]
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(rows) == ours["total"]["n"] == 40
    assert theirs["acc,none"] == pytest.approx(ours["total"]["acc"], abs=1e-6)
    for row, answer in zip(sorted(rows, key=lambda r: r["doc_id"]), ours["answers"]):
        have = [float(r[0]) for r in row["filtered_resps"]]
        assert have == pytest.approx(answer["logprobs"], abs=1e-5)
    # The harness's samples pair with nibble's run, prompt by prompt.
    verdict = subprocess.run(
        [program, "compare", out, samples, "--margin", "50", "--any-model", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(verdict.stdout)["verdict"] == "pass"


def test_rolling_as_nibble_ppl(lm, nbl, program, tmp_path):
    text = "Where is the ant? " * 300
    (tmp_path / "text").write_text(text)
    n = lm.max_length
    out = subprocess.run(
        [program, "ppl", nbl, "--text", tmp_path / "text", "--ctx", str(n), "--stride", str(n), "--bos", "yes",
         "--json", "-q"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = json.loads(out.stdout)
    (have,) = lm.loglikelihood_rolling([ask("loglikelihood_rolling", text)], disable_tqdm=True)
    assert have == pytest.approx(-ours["nll"], rel=1e-4)


def test_contexts_that_are_empty_or_too_long(lm):
    long = "the ant " * 2000
    scores = lm.loglikelihood(
        [ask("loglikelihood", "", "the ant"), ask("loglikelihood", long, " is")], disable_tqdm=True
    )
    assert all(-100 < logprob < 0 for logprob, _ in scores)


def test_generate_until(lm):
    whole = lm.model.generate(lm.tok_encode("the ant"), max_tokens=12).text
    end = whole[5:7]
    texts = lm.generate_until(
        [
            ask("generate_until", "the ant", {"until": [], "max_gen_toks": 12}),
            ask("generate_until", "the ant", {"until": [end], "max_gen_toks": 12, "do_sample": False}),
            ask("generate_until", "the ant " * 2000, {"until": ["\n"], "max_gen_toks": 4}),
        ],
        disable_tqdm=True,
    )
    assert texts[:2] == [whole, whole[: whole.index(end)]] and len(texts) == 3


def test_chat_template(lm):
    turns = [{"role": "user", "content": "the ant"}]
    text = lm.apply_chat_template(turns)
    assert text == lm.model.chat(turns)
    assert lm.apply_chat_template(turns + [{"role": "assistant", "content": "It"}], False) == text + "It"
    assert list(lm.tok_encode(text)).count(lm.model.info.bos) <= 1
