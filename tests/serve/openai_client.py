#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The `openai` package against a server: chats and completions, whole and streamed, log-probs, several texts, stops,
errors as its exceptions. The texts must be those of `nibble generate`.

usage: openai_client.py NIBBLE MODEL     (ends with 77 without the package)
"""
import json, signal, subprocess, sys

try:
    import openai
except ImportError as e:
    print("SKIP:", e)
    sys.exit(77)
nibble, model = sys.argv[1:3]
key = "key-of-a-test"
open("keys", "w").write(f"other\n{key}\n")
server = subprocess.Popen([nibble, "serve", model, "--port", "0", "-q", "--api-key-file", "keys", "--name", "m"], stdout=subprocess.PIPE, text=True)
url = server.stdout.readline().strip() + "v1"
c = openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def generate(*args):
    return json.loads(subprocess.run([nibble, "generate", model, "--json", "-q", *args], check=True, stdout=subprocess.PIPE).stdout)["text"]


def raises(kind, code, f):
    try:
        f()
    except kind as e:
        assert e.code == code, (e.code, code)
        return
    raise AssertionError(f"no {kind.__name__}")


try:
    assert [m.id for m in c.models.list()] == ["m"] and c.models.retrieve("m").id == "m"
    ask = [{"role": "user", "content": "the ant"}]
    want = generate("-p", "the ant", "-n", "12")
    a = c.chat.completions.create(model="m", messages=ask, max_tokens=12, temperature=0)
    assert a.choices[0].message.content == want and a.usage.total_tokens == a.usage.prompt_tokens + a.usage.completion_tokens
    sampled = generate("-p", "the ant", "-n", "12", "--temperature", "1.5", "--top-p", "0.9", "--seed", "7")
    a = c.chat.completions.create(model="m", messages=ask, max_completion_tokens=12, temperature=1.5, top_p=0.9, seed=7, n=3, logprobs=True, top_logprobs=3)
    assert [x.index for x in a.choices] == [0, 1, 2] and a.choices[0].message.content == sampled
    for x in a.choices:
        assert all(t.logprob <= 0 and len(t.top_logprobs) == 3 and t.top_logprobs[0].logprob >= t.logprob for t in x.logprobs.content)
    pieces, usage = [], None
    for e in c.chat.completions.create(model="m", messages=ask, max_tokens=12, temperature=0, stream=True, stream_options={"include_usage": True}):
        usage = e.usage or usage
        pieces += [x.delta.content or "" for x in e.choices]
    assert "".join(pieces) == want and usage.completion_tokens > 0
    raw = generate("-p", "the ant", "-n", "8", "--raw")
    a = c.completions.create(model="m", prompt=["the ant", "an ant"], max_tokens=8, temperature=0, echo=True, logprobs=2)
    assert a.choices[0].text == "the ant" + raw and len(a.choices) == 2
    lp = a.choices[0].logprobs
    assert lp.token_logprobs[0] is None and len(lp.tokens) == len(lp.token_logprobs) == len(lp.top_logprobs) == len(lp.text_offset)
    assert "".join(x.choices[0].text for x in c.completions.create(model="m", prompt="the ant", max_tokens=8, temperature=0, stream=True)) == raw
    if len(raw) > 3:
        stop = raw[2:4]
        a = c.completions.create(model="m", prompt="the ant", max_tokens=8, temperature=0, stop=stop)
        assert a.choices[0].text == raw[: raw.index(stop)] and a.choices[0].finish_reason == "stop", (a, raw)
    raises(openai.NotFoundError, "model_not_found", lambda: c.chat.completions.create(model="gpt-4", messages=ask))
    raises(openai.BadRequestError, "unsupported_parameter", lambda: c.chat.completions.create(model="m", messages=ask, frequency_penalty=1))
    raises(openai.BadRequestError, "context_length_exceeded", lambda: c.completions.create(model="m", prompt="the ant " * 5000))
    raises(openai.BadRequestError, "unsupported_endpoint", lambda: c.embeddings.create(model="m", input="x"))
    raises(openai.AuthenticationError, "invalid_api_key", lambda: openai.OpenAI(base_url=url, api_key="wrong", max_retries=0).models.list())
finally:
    server.send_signal(signal.SIGTERM)
    code = server.wait(60)
assert code == 0
print("all is well: openai", openai.__version__)
