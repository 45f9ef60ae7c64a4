/* SPDX-License-Identifier: MIT */
/* The page's engine (module and worker) under node, as a browser's worker would have it: the text of a model on a file is
 * what the program on this machine writes, stopping keeps what was run, and files that are damaged, cut or too large are
 * refused with a reason.
 * usage: node engine.js ENGINE.js NIBBLE MODEL.nbl BITS     (of its addresses: 32 or 64) */
"use strict";
const fs = require("fs"), vm = require("vm"), {execFileSync} = require("child_process"), {performance} = require("perf_hooks");
const [enginePath, nibble, model, bits] = process.argv.slice(2);

/* A file as a worker sees it: pieces of bytes on the disk, read at once. */
class Piece {
  constructor(path, from, size) { Object.assign(this, {path, from, size}); }
  slice(a, b) { return new Piece(this.path, this.from + a, Math.min(b, this.size) - a); }
  bytes() {
    const buffer = Buffer.alloc(this.size), fd = fs.openSync(this.path);
    fs.readSync(fd, buffer, 0, this.size, this.from);
    fs.closeSync(fd);
    return buffer;
  }
}
const file = (name, path, size = fs.statSync(path).size) => ({name, data: new Piece(path, 0, size)});
class FileReaderSync { readAsArrayBuffer(p) { const b = p.bytes ? p.bytes() : p; return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); } }

let hear = () => {};
const scope = {FileReaderSync, MessageChannel, performance, WebAssembly, TextDecoder, Uint8Array, atob, console, importScripts() {},
  location: {href: "blob:"}, postMessage: m => hear(m), setTimeout, Promise, crypto: globalThis.crypto};
scope.self = scope;
vm.runInNewContext(fs.readFileSync(enginePath, "utf8"), scope, {filename: enginePath});
/* All that the worker says to a message; during: called with each of it. */
const tell = (message, during = () => {}) => new Promise((done, failed) => {
  const events = [];
  hear = m => {
    if (m.failed) failed(Error(m.failed));
    else if (m.done || m.opened) done(m.opened || events);
    else events.push(m.event), during(m.event);
  };
  scope.onmessage({data: message});
});
const textOf = events => events.map(e => e.choices[0].text ?? e.choices[0].delta.content).join("");
const usage = events => events[events.length - 1].usage;

let passed = 0, failures = 0;
function check(what, ok, more = "") {
  if (ok) passed++;
  else failures++, console.log(`FAIL ${what} ${more}`);
}
async function refused(what, files, pattern) {
  const why = await tell({open: files}).then(() => "it was opened", e => e.message);
  check(what, pattern.test(why), why);
}

(async () => {
  const opened = await tell({open: [file("model.nbl", model)]});
  check("what was opened", opened.name === "model.nbl" && opened.kernels === "simd128" && opened.file_bytes === fs.statSync(model).size, JSON.stringify(opened));

  for (const [prompt, n] of [["Hello there", 40], ["The answer to question 7 is", 100]]) {
    const native = (...more) => execFileSync(nibble, ["generate", model, "-q", "-p", prompt, "-n", String(n), ...more], {encoding: "utf8"});
    const same = async (what, told, body) => {
      const said = textOf(await tell({ask: {...body, max_tokens: n}})) + "\n";
      check(what, said.length > n && told === said, JSON.stringify([told, said]));
      return said;
    };
    const messages = [{role: "user", content: prompt}];
    const likely = await same("a prompt that goes on", native("--raw"), {prompt, temperature: 0});
    if (opened.chat) await same("an answer", native(), {messages, temperature: 0});
    const drawn = ["--temperature", "0.9", "--top-p", "0.95", "--seed", "5"], how = {temperature: 0.9, top_p: 0.95, seed: 5};
    check("drawing", likely !== await same("a text that is drawn", native("--raw", ...drawn), {prompt, ...how}));
  }

  const long = "A long beginning. ".repeat(40);
  const stopped = await tell({ask: {prompt: long, temperature: 0}}, e => {
    if (e.usage.completion_tokens === 1) scope.onmessage({data: {stop: true}});
  });
  const last = stopped[stopped.length - 1].choices[0].finish_reason;
  check("an answer that is stopped", last === "cancelled" && usage(stopped).completion_tokens < 500, last);
  const again = await tell({ask: {prompt: "Hello there", max_tokens: 40, temperature: 0}});
  check("and the next", usage(again).completion_tokens > 0);

  for (const [body, pattern] of [[{prompt: "x", temperature: 9}, /temperature is 9/], [{prompt: "x", top_p: 2}, /top_p/], [{prompt: "x", seed: 0.5}, /seed/],
      [{prompt: "word ".repeat(20000)}, /tokens, and the model takes/]]) {
    const why = await tell({ask: body}).then(() => "it was answered", e => e.message);
    check("what does not suit", pattern.test(why), why);
  }

  const all = fs.readFileSync(model), dir = fs.mkdtempSync((process.env.TMPDIR || "/tmp") + "/nibble-web.");
  const put = (name, bytes) => (fs.writeFileSync(`${dir}/${name}`, bytes), file(name, `${dir}/${name}`));
  const bent = Buffer.from(all);
  bent.fill(0xff, 16, 64);
  await refused("a damaged file", [put("bent.nbl", bent)], /bent\.nbl has .* its header says/);
  await refused("a cut file", [put("cut.nbl", all.subarray(0, all.length / 2))], /cut\.nbl has .* its header says .*: copy it again/);
  await refused("an empty file", [put("empty.nbl", Buffer.alloc(0))], /empty/);
  await refused("another kind of file", [put("text.nbl", Buffer.from("once upon a time ".repeat(100)))], /text\.nbl is not a \.nbl file/);
  /* The end of it lies past that of the file on the disk, and is read as zeros. */
  await refused("a file above 2 GB", [file("large.nbl", model, 2.2e9)], bits === "64" ? /large\.nbl has 2200000000 bytes, .* its header says/
    : /large\.nbl: its 2200000000 bytes are more than .*memory64.*nibble split/);
  const none = await tell({ask: {prompt: "x"}}).then(() => "it was answered", e => e.message);
  check("no model", /no model is open/.test(none), none);

  execFileSync(nibble, ["split", "-q", model, "--size", "700000", "-o", `${dir}/part`]);
  const parts = fs.readdirSync(dir).filter(n => n.startsWith("part")).map(n => file(n, `${dir}/${n}`));
  await tell({open: parts.reverse()});
  const ofParts = await tell({ask: {prompt: "Hello there", max_tokens: 40, temperature: 0}});
  check("parts give the same text", parts.length > 1 && textOf(ofParts) === textOf(again), parts.length);

  const began = performance.now();
  const fast = await tell({ask: {prompt: "Hello there", max_tokens: 200, temperature: 0}});
  console.log(`${(usage(fast).completion_tokens / (performance.now() - began) * 1000).toFixed(0)} tokens/s under node, ${(fast[0].memory / 1e6).toFixed(0)} MB`);
  fs.rmSync(dir, {recursive: true});
  console.log(`${passed} passed, ${failures} failed, 0 skipped`);
  process.exit(failures ? 1 : 0);
})().catch(e => { console.log("FAIL", e.stack); process.exit(1); });
