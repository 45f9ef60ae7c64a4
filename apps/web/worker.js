/* SPDX-License-Identifier: MIT */
/* The model's side of the page: a worker that holds the WebAssembly module (Nibble, before this in the same script) and
 * answers in the form of the events that `nibble serve` streams.
 *
 * Comes:  {open: [files or {name, data}]}   a .nbl file or its parts: they are read once, into the module's memory
 *         {ask: body}                       as the body of a request to the server
 *         {stop: true}                      the answer ends soon, and what was run stays
 * Goes:   {opened: {name, chat, ...}} | {event} ... {done: true} | {failed: text} */
"use strict";
const LONG = 25; /* milliseconds between two looks at what has come */
let stopping = false, opened = null;
const ready = Nibble({print: () => {}, printErr: () => {}});

/* Lets what has come be heard. */
const channel = new MessageChannel();
const breath = () => new Promise(go => { channel.port1.onmessage = go; channel.port2.postMessage(0); });

/* Text and null are pointers, of either width. */
const call = (m, name, result, ...args) => m.ccall(name, result, args.map(a => typeof a === "number" ? "number" : "string"), args);
const reason = m => call(m, "web_error", "string");
/* Of functions that give 0 (or no text) when they fail. */
function must(m, name, result, ...args) {
  const r = call(m, name, result, ...args);
  if (!r) throw Error(reason(m));
  return r;
}

async function open(files) {
  const m = await ready, {FS, WORKERFS} = m;
  FS.chdir("/");
  if (opened) FS.unmount("/opened");
  else FS.mkdir("/opened");
  FS.mount(WORKERFS, {blobs: files.map(f => f.data ? f : {name: f.name, data: f})}, "/opened");
  FS.chdir("/opened"); /* messages have the names alone */
  opened = files.map(f => f.name).sort();
  for (const name of opened) must(m, "web_place", "number", name);
  must(m, "web_open", "number");
  return {name: opened[0], ...JSON.parse(must(m, "web_describe", "string"))};
}

/* A whole number for what the body leaves out: that one is random, as the server's. */
const seed = body => body.seed ?? Math.floor(Math.random() * 2 ** 53);

async function ask(body) {
  const m = await ready, chat = !!body.messages;
  for (const {role, content} of body.messages || []) must(m, "web_message", "number", role, content);
  const prompt = chat ? null : body.prompt;
  must(m, "web_begin", "number", prompt, body.max_tokens || 0, body.temperature ?? 1, body.top_p ?? 1, seed(body));
  stopping = false;
  /* The first text goes at once, and then what there is at every look. */
  for (let heard = -Infinity, text = "", end = null, s; !end;) {
    s = JSON.parse(must(m, "web_step", "string"));
    text += s.text, end = s.end || null;
    const late = performance.now() - heard > LONG;
    if (text && late || end) {
      const usage = {prompt_tokens: s.prompt_tokens, completion_tokens: s.completion_tokens};
      postMessage({event: {choices: [{...(chat ? {delta: {content: text}} : {text}), finish_reason: end}], usage, memory: m.HEAPU8.length}});
      text = "";
    }
    if (!late) continue;
    await breath();
    if (s.completion_tokens) heard = performance.now();
    if (stopping) call(m, "web_stop", null), stopping = false;
  }
}

async function serve({open: files, ask: body}) {
  try {
    if (files) postMessage({opened: await open(files)});
    else await ask(body), postMessage({done: true});
  } catch (error) {
    postMessage({failed: error.message});
  }
}

let served = Promise.resolve(); /* one after the other: an answer breathes */
self.onmessage = e => {
  if (e.data.stop) stopping = true;
  else served = served.then(() => serve(e.data));
};
