#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page that chats offline, from its file in a real browser without a network: it answers as the program on this machine,
stops, refuses a cut file with a reason, opens another. A copy of the page with a script that uses it says on the console how
that went.

usage: page.py NIBBLE PAGE.html MODEL.nbl BROWSER [64]    (MODEL is the one in the page; 64: which has an engine for large files)
"""
import base64, json, pathlib, re, subprocess, sys, tempfile, threading

nibble, page, model, browser = sys.argv[1:5]
large = r"has [0-9]+ bytes, .*its header says" if sys.argv[5:] else r"are more than .*memory64"
QUESTION = "The answer to question 7 is"
expected = subprocess.run([nibble, "generate", model, "-q", "-p", QUESTION, "-n", "24"], check=True, capture_output=True, text=True).stdout[:-1]
bytes64 = base64.b64encode(pathlib.Path(model).read_bytes()).decode()

FIRST = """<script>var failed = []; addEventListener("error", e => failed.push(e.message));
addEventListener("unhandledrejection", e => failed.push(String(e.reason)));</script>"""
LAST = """<script>(async () => {
const need = (what, ok) => { if (!ok) failed.push(what); }, id = x => document.getElementById(x);
const until = async (what, f, tries = 600) => { for (let i = 0; i < tries && !f(); i++) await new Promise(r => setTimeout(r, 50)); need(what, f()); };
const texts = () => [...document.querySelectorAll("article.assistant .text")].map(t => t.textContent);
const bytes = Uint8Array.from(atob("BYTES"), c => c.charCodeAt(0)), input = document.querySelector("input[type=file]");
const choose = (name, part) => { const t = new DataTransfer(); t.items.add(new File([part], name)); input.files = t.files; input.dispatchEvent(new Event("change")); };
let rate = "";
try {
await until("the model opens: " + id("state").textContent, () => !id("send").disabled);
need("named", id("model").textContent === "NAME");
id("temperature").value = "0", id("max_tokens").value = "24";
id("text").value = QUESTION, id("send").click();
await until("an answer", () => !id("send").disabled);
need("the program's text, not " + texts()[0], texts()[0] === EXPECTED);
await until("speed and memory: " + id("state").textContent, () => /^24 tokens, [0-9.]+ tokens\\/s.*memory [0-9.]+ .B, /.test(id("state").textContent));
id("max_tokens").value = "400", id("text").value = "again", id("send").click();
await until("a long answer", () => !id("send").disabled);
rate = id("state").textContent;
id("new").click();
id("max_tokens").value = "", id("text").value = "again", id("send").click();
await until("a longer answer begins", () => (texts()[0] || "").length > 0);
id("stop").click();
await until("it stops: " + id("state").textContent, () => !id("send").disabled && /stopped/.test(id("state").textContent));
id("temperature").value = "9", id("text").value = "wrong", id("send").click();
await until("an error is shown", () => document.querySelector("article.failed[role=alert]"));
need("the engine's message: " + texts()[1], /temperature is 9/.test(texts()[1]));
choose("cut.nbl", bytes.slice(0, 1000));
await until("a cut file is refused: " + id("state").textContent, () => /cut\\.nbl has 1000 bytes/.test(id("state").textContent));
need("nothing to send to", id("send").disabled);
/* Above 2 GB: the page starts the engine that suits, which reads all of it; once, in the wide window. */
if (innerWidth > 800) {
choose("large.nbl", new Blob([bytes, ...Array(33).fill(new Blob([new Uint8Array(2 ** 26)]))]));
await until("a large file is read", () => !/^reading/.test(id("state").textContent), 4000);
need("and refused for its reason: " + id("state").textContent, /^large\\.nbl.* (LARGE)/.test(id("state").textContent));
}
choose("other.nbl", bytes);
await until("another model opens", () => !id("send").disabled && id("model").textContent === "other");
id("temperature").value = "0", id("max_tokens").value = "24";
id("text").value = QUESTION, id("send").click();
await until("its answer", () => !id("send").disabled && texts().length === 1);
need("the same text, not " + texts(), texts()[0] === EXPECTED);
need("nothing from elsewhere", ![...document.querySelectorAll("[src], [href]")].some(e => !/^data:/.test(e.getAttribute("src") || e.getAttribute("href"))));
need("controls have names", [...document.querySelectorAll("input, textarea")].every(i => i.labels.length === 1 && i.labels[0].textContent.trim()));
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
} catch (e) { failed.push(String(e)); }
console.log("RESULT " + (failed.length ? "failed: " + failed.join("; ") : "all is well") + " | " + rate);
})();</script>"""

name = re.sub(r"\.nbl$", "", pathlib.Path(model).name)
for mark, value in (("BYTES", bytes64), ('"NAME"', json.dumps(name)), ("QUESTION", json.dumps(QUESTION)), ("EXPECTED", json.dumps(expected)), ("LARGE", large)):
    LAST = LAST.replace(mark, value)
text = pathlib.Path(page).read_text().replace('<meta charset="utf-8">', '<meta charset="utf-8">' + FIRST, 1)
end = text.rindex("</body>")
bad = 0
with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(folder) / "page.html"
    copy.write_text(text[:end] + LAST + text[end:])
    for width in (1200, 390):
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", f"--window-size={width},800",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--remote-debugging-port=0", copy.as_uri()]
        b = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        timer = threading.Timer(300, b.kill)
        timer.start()
        result, console, log = None, [], []
        for line in b.stderr:
            log.append(line)
            if "CONSOLE" in line and "RESULT " in line:
                result = re.search(r'RESULT (.*)", source', line)[1]
                break
            if "CONSOLE" in line:
                console.append(line.strip())
        timer.cancel()
        b.terminate()
        b.wait(30)
        print(width, result or "the browser said nothing", *console)
        if not result and not any("DevTools" in x for x in log):
            print("SKIP: the browser does not run here")
            bad = 77
            break
        bad |= not (result or "").startswith("all is well") or bool(console)
sys.exit(bad)
