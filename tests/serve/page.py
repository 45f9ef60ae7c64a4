#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of `nibble serve` in a real browser, wide and as narrow as a phone: it chats with the server, stops, shows an
error, can be used by keys, has a name for everything, and loads nothing from elsewhere. The page is served with a script
that uses it, through a proxy to a server of its own.

usage: page.py NIBBLE MODEL BROWSER [FOLDER]    (FOLDER: screenshots, light and dark, go there)
"""
import http.client, http.server, re, signal, subprocess, sys, tempfile, threading

nibble, model, browser = sys.argv[1:4]
shots = sys.argv[4] if len(sys.argv) > 4 else None
server = subprocess.Popen([nibble, "serve", model, "--port", "0", "-q"], stdout=subprocess.PIPE, text=True)
host, port = re.match(r"http://(.*):(\d+)/", server.stdout.readline()).groups()

FIRST = """<script>var failed = []; addEventListener("error", e => failed.push(e.message));
addEventListener("unhandledrejection", e => failed.push(String(e.reason)));</script>"""
LAST = """<script>(async () => {
const need = (what, ok) => { if (!ok) failed.push(what); }, id = x => document.getElementById(x);
const until = async (what, f) => { for (let i = 0; i < 600 && !f(); i++) await new Promise(r => setTimeout(r, 50)); need(what, f()); };
const key = (e, k, more) => e.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true, ...more}));
const texts = () => [...document.querySelectorAll("article.assistant .text")].map(t => t.textContent);
try {
need("named", id("model").textContent === NAME && document.title.includes(NAME));
need("the first key goes to the message", document.activeElement === id("text"));
id("temperature").value = "0", id("max_tokens").value = "24";
id("text").value = "Hello <b>there</b>";
key(id("text"), "Enter", {shiftKey: true});
need("Shift+Enter does not send", texts().length === 0);
key(id("text"), "Enter");
need("busy", id("send").disabled && !id("stop").disabled);
await until("an answer", () => !id("send").disabled);
need("it says something", texts()[0].length > 0);
need("text is text", document.querySelector("article.user .text").textContent === "Hello <b>there</b>" && !document.querySelector("article b"));
need("speed: " + id("state").textContent, /^24 tokens, [0-9.]+ tokens\\/s/.test(id("state").textContent));
await until("memory", () => /memory [0-9.]+ .B/.test(id("state").textContent));
need("read out", id("said").textContent.startsWith(texts()[0]) && id("said").getAttribute("aria-live") === "polite");
id("max_tokens").value = "1000000";
id("text").value = "again";
id("compose").requestSubmit();
await until("a long answer begins", () => (texts()[1] || "").length > 0);
key(document.body, "Escape");
await until("Escape stops", () => !id("send").disabled && /stopped/.test(id("state").textContent));
id("temperature").value = "9";
id("text").value = "wrong";
id("send").click();
await until("an error is shown", () => document.querySelector("article.failed[role=alert]"));
need("what failed can be sent again", id("text").value === "wrong");
need("the server's message: " + texts()[2], /temperature/.test(texts()[2]));
id("new").click();
need("a new chat", document.querySelectorAll("article").length === 0);
id("temperature").value = "0", id("max_tokens").value = "8", id("system").value = "Be brief.";
for (const t of ["one", "two"]) { id("text").value = t; id("send").click(); await until(t, () => !id("send").disabled); }
need("controls have names", [...document.querySelectorAll("input, textarea")].every(i => i.labels.length === 1 && i.labels[0].textContent.trim()));
need("buttons have names", [...document.querySelectorAll("button")].every(b => b.textContent.trim()));
need("buttons can be hit", [...document.querySelectorAll("button")].every(b => b.getBoundingClientRect().height >= 40));
document.querySelector("details").open = true;
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
need("the message can be seen", id("text").getBoundingClientRect().bottom <= innerHeight + 1 || innerHeight < 500);
need("nothing from elsewhere", ![...document.querySelectorAll("[src], [href]")].some(e => !/^data:/.test(e.getAttribute("src") || e.getAttribute("href"))));
document.querySelector("details").open = false;
} catch (e) { failed.push(String(e)); }
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
await fetch("/done", {method: "POST", body: document.title});
})();</script>"""

done, result = threading.Event(), []


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/done":
            result.append(body.decode())
            self.send_response(204)
            self.end_headers()
            return done.set()
        c = http.client.HTTPConnection(host, int(port), timeout=60)
        c.request(self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k in ("Content-Type", "Authorization")})
        r = c.getresponse()
        self.send_response(r.status)
        for k, v in r.getheaders():
            if k in ("Content-Type", "Content-Security-Policy"):
                self.send_header(k, v)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            if self.path == "/":
                name = re.search(r'"model": "([^"]*)"', page := r.read().decode())[1]
                page = page.replace('<meta charset="utf-8">', '<meta charset="utf-8">' + FIRST)
                self.wfile.write(page.replace("</body>", LAST.replace("NAME", f'"{name}"') + "</body>").encode())
                self.wfile.flush()
                if shots:  # one is taken when the page has come: that is, when its script is through
                    done.wait(60)
            else:
                while piece := r.read1(4096):
                    self.wfile.write(piece)
                    self.wfile.flush()
        except OSError:
            pass
        c.close()
        self.close_connection = True

    do_POST = do_GET

    def log_message(self, *_):
        pass


proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
proxy.daemon_threads = True
threading.Thread(target=proxy.serve_forever, daemon=True).start()
bad = 0
with tempfile.TemporaryDirectory() as profile:
    for width, theme in ((1200, "light"), (390, "light"), (390, "dark"), (1200, "dark")):
        done.clear()
        result.clear()
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", f"--window-size={width},800", "--enable-logging=stderr"]
        command += ["--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
        command += [f"--screenshot={shots}/{width}-{theme}.png"] if shots else ["--remote-debugging-port=0"]
        b = subprocess.Popen(command + [f"http://127.0.0.1:{proxy.server_address[1]}/"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        heard = done.wait(60)
        if shots:
            b.wait(60)
        b.terminate()
        log = b.communicate()[1]
        console = [x for x in log.splitlines() if "CONSOLE" in x and "status of 400" not in x]
        print(width, theme, result[0] if result else "the browser said nothing", *console)
        if not heard and "DevTools" not in log and not shots:
            print("SKIP: the browser does not run here")
            bad = 77
            break
        bad |= result != ["all is well"] or bool(console)
server.send_signal(signal.SIGTERM)
sys.exit(server.wait(60) or bad)
