#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts load on a server of its own: 64 clients that chat, complete, stream and score for some minutes, among them some
that hang up, send garbage, or read slowly. Ends with 1 when an answer is wrong (the same request must give the same
text however full the batch is), a status is unexpected, or memory grows after the first fifth of the time.

usage: load.py NIBBLE MODEL [MINUTES [CLIENTS [any-memory]]]   (10 minutes, 64 clients; no package beside Python's own)
any-memory: its growth is not judged, for a sanitizer keeps what was released.
The model runs on one thread: it should be a tiny one, and the machine may be busy.
"""
import http.client, json, random, re, signal, socket, subprocess, sys, threading, time

nibble, model = sys.argv[1:3]
minutes = float(sys.argv[3]) if len(sys.argv) > 3 else 10
clients = int(sys.argv[4]) if len(sys.argv) > 4 else 64
any_memory = sys.argv[5:] == ["any-memory"]

server = subprocess.Popen([nibble, "serve", model, "--port", "0", "-q", "-t", "1", "--idle", "5", "--timeout", "120"], stdout=subprocess.PIPE, text=True)
host, port = re.match(r"http://(.*):(\d+)/", server.stdout.readline()).groups()
port = int(port)
lock, known, errors, counts, latencies = threading.Lock(), {}, [], {}, []
end = time.time() + 60 * minutes


def fail(what):
    with lock:
        errors.append(what)
        if len(errors) < 20:
            print("error:", what, flush=True)


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def check(key, text):
    """The same request gives the same text, whatever else runs."""
    with lock:
        want = known.setdefault(key, text)
    if want != text:
        fail(f"{key}: {text!r}, and before {want!r}")


def post(c, path, body, want=200):
    began = time.time()
    c.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    data = r.read()
    with lock:
        latencies.append(time.time() - began)
    if r.status != want:
        fail(f"{path}: status {r.status}: {data[:200]!r}")
    return data


def chat(c, rng):
    """A conversation: every turn begins with the last one's."""
    talk = rng.randrange(40)
    messages = [{"role": "system", "content": "You are a test. " * 4}]
    for turn in range(rng.randrange(1, 4)):
        messages.append({"role": "user", "content": f"question {talk} and {turn}?"})
        a = json.loads(post(c, "/v1/chat/completions", {"messages": messages, "max_tokens": 12 + talk % 8, "temperature": talk % 2, "seed": talk}))
        text = a["choices"][0]["message"]["content"]
        check(("chat", talk, turn), text)
        messages.append({"role": "assistant", "content": text})


def stream(c, rng):
    k = rng.randrange(30)
    data = post(c, "/v1/chat/completions", {"messages": [{"role": "user", "content": f"stream {k}"}], "max_tokens": 20, "temperature": 0.8, "seed": k, "stream": True})
    lines = [x[6:] for x in data.decode().split("\n\n") if x.startswith("data: ")]
    if not lines or lines[-1] != "[DONE]":
        return fail(f"stream {k} ends with {lines[-1:]}")
    check(("stream", k), "".join(json.loads(x)["choices"][0]["delta"].get("content", "") for x in lines[:-1]))


def complete(c, rng):
    k = rng.randrange(30)
    a = json.loads(post(c, "/v1/completions", {"prompt": [f"text {k} goes", f"other {k}"], "n": 2, "max_tokens": 8, "seed": k, "logprobs": 2}))
    check(("complete", k), [(x["text"], x["logprobs"]["token_logprobs"]) for x in a["choices"]])


def score(c, rng):
    k = rng.randrange(30)
    a = json.loads(post(c, "/v1/completions", {"prompt": f"a text to score, number {k}, " * (1 + k % 9), "max_tokens": 0, "echo": True, "logprobs": 0}))
    check(("score", k), a["choices"][0]["logprobs"]["token_logprobs"])


def hang_up(c, rng):
    """Goes away in the middle of an answer."""
    s = socket.create_connection((host, port))
    body = json.dumps({"prompt": "never read", "max_tokens": 400, "stream": rng.random() < 0.5})
    s.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    time.sleep(rng.random() * 0.2)
    s.close()


def garbage(c, rng):
    s = socket.create_connection((host, port))
    s.sendall(rng.choice([rng.randbytes(300), b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                          b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 9000 + b"\r\n", b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"]))
    s.settimeout(1)
    try:
        s.recv(1000)
    except OSError:
        pass
    s.close()


def wrong(c, rng):
    for body in ({"prompt": 3}, {"prompt": "x", "n": 10**9}, {"prompt": "x", "temperature": 1e300}, {"prompt": "x" * 200000}):
        post(c, "/v1/completions", body, 400)


def slow(c, rng):
    """Sends a request a byte at a time and never ends: the server hangs up."""
    s = socket.create_connection((host, port))
    began = time.time()
    try:
        for b in b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 500:
            s.sendall(bytes([b]))
            time.sleep(0.25)
            if time.time() - began > 20:
                return fail("a slow head was not ended")
    except OSError:
        pass
    s.close()


kinds = [(chat, 30), (stream, 25), (complete, 20), (score, 10), (hang_up, 6), (garbage, 3), (wrong, 3), (slow, 1)]


def client(i):
    rng, c = random.Random(i), None
    while time.time() < end:
        kind = rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        c = c or http.client.HTTPConnection(host, port, timeout=130)
        try:
            kind(c, rng)
            if kind is slow:  # it took longer than a connection may be idle
                c.close()
            count(kind.__name__)
        except Exception as e:
            c.close()
            c = None
            fail(f"{kind.__name__}: {type(e).__name__}: {e}")
    if c:
        c.close()


def metrics():
    c = http.client.HTTPConnection(host, port, timeout=60)
    c.request("GET", "/metrics")
    text = c.getresponse().read().decode()
    c.close()
    return {m[1]: float(m[2]) for m in re.finditer(r"^nibble_(\w+) (\S+)$", text, re.M)}


def starved():
    """Seconds that the server's threads were ready and had no processor (Linux): what an error may come from."""
    import glob
    try:
        return max(int(open(f).read().split()[1]) for f in glob.glob(f"/proc/{server.pid}/task/*/schedstat")) / 1e9
    except (OSError, ValueError):
        return 0


def quantile(x, q):
    return sorted(x)[min(len(x) - 1, int(q * len(x)))] if x else 0


threads = [threading.Thread(target=client, args=(i,), daemon=True) for i in range(clients)]
began = time.time()
for t in threads:
    t.start()
memory, fds = [], []
while time.time() < end:
    time.sleep(min(5, 6 * minutes))
    try:
        memory.append(metrics()["memory_own_bytes"])
        print(f"{time.time() - began:5.0f} s: {memory[-1] / 1e6:.1f} MB of its own, {sum(counts.values())} requests, {len(errors)} errors; a thread waited {starved():.0f} s for a processor", flush=True)
    except Exception as e:
        fail(f"metrics: {e}")
for t in threads:
    t.join(150)
time.sleep(7)
m = metrics()
fds = len(__import__("os").listdir(f"/proc/{server.pid}/fd")) if sys.platform == "linux" else 0
server.send_signal(signal.SIGTERM)
rc = server.wait(60)
early, late = memory[len(memory) // 5], max(memory[len(memory) // 5:])
print(f"{clients} clients, {time.time() - began:.0f} s: {counts}")
print(f"{len(latencies)} answers, median {quantile(latencies, .5):.3f} s, 99 % {quantile(latencies, .99):.3f} s; "
      f"{m['new_tokens_total']:.0f} tokens written, {m['prompt_tokens_total']:.0f} run of prompts, {m['shared_tokens_total']:.0f} shared")
print(f"memory of its own: {early / 1e6:.1f} MB after a fifth of the time, {late / 1e6:.1f} MB at most since, {m['memory_own_bytes'] / 1e6:.1f} MB at the end; "
      f"{m['connections']:.0f} connections, {fds} descriptors, {m['texts_running']:.0f} texts run")
if rc:
    fail(f"the server ended with {rc}")
if m["texts_running"] or m["texts_waiting"] or m["connections"] > 1:
    fail("something is still under way")
if late > 1.25 * early + 8e6 and not any_memory:
    fail("memory grows")
print(f"{len(errors)} errors")
sys.exit(bool(errors))
