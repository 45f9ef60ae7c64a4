/* SPDX-License-Identifier: MIT */
/* The model behind the page: a worker with the WebAssembly module (worker.js), and a .nbl file, the one that came with the
 * page or another that is chosen. */
let worker = null, engine = null; /* the id of the worker's text */
let hear = null; /* who waits for the worker */
let memory_bytes = 0, file_bytes = 0;

/* Whether this browser has memory64: whether a module with nothing but such a memory is one. */
const has_memory64 = () => WebAssembly.validate(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 4, 1));

/* Starts the engine that suits the files: that with addresses of 64 bits for those that need it alone, since not every
 * browser has them. Where they are missing the other one says so. */
function start_engine(files) {
  const large = files.reduce((n, f) => n + (f.data || f).size, 0) >= 2 ** 31;
  const suits = large && at("engine64") && has_memory64() ? "engine64" : "engine";
  if (engine === suits) return;
  if (worker) worker.terminate();
  worker = new Worker(URL.createObjectURL(new Blob([at(suits).textContent], {type: "text/javascript"}))), engine = suits;
  worker.onmessage = e => hear(e.data);
  worker.onerror = e => hear({failed: "this browser does not run the model (" + (e.message || "no WebAssembly SIMD") + ")"});
}

/* What the worker says after a message, until it has done. */
async function* talk_to(message) {
  const queue = [];
  let wake;
  hear = data => { queue.push(data); if (wake) wake(); };
  worker.postMessage(message);
  for (;;) {
    while (!queue.length) await new Promise(go => wake = go);
    const said = queue.shift();
    if (said.failed) throw Error(said.failed);
    if (said.done) return;
    yield said;
    if (said.opened) return;
  }
}

async function* ask(body, signal) {
  const stop = () => worker.postMessage({stop: true});
  signal.addEventListener("abort", stop);
  try {
    for await (const said of talk_to({ask: body})) {
      memory_bytes = said.event.memory;
      yield said.event;
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (signal.aborted) throw new DOMException("stopped", "AbortError");
}

const memory = async () => `; memory ${size(memory_bytes)}, ${size(file_bytes)} of it the file`;

async function open_files(files) {
  if (running) running.abort();
  while (running) await new Promise(go => setTimeout(go, 50));
  at("send").disabled = at("open").disabled = true;
  at("state").textContent = "reading " + files.map(f => f.name).join(", ");
  try {
    start_engine(files);
    for await (const said of talk_to({open: files})) {
      Object.assign(D, {model: said.opened.name.replace(/\.nbl$/, ""), chat: said.opened.chat}), file_bytes = said.opened.file_bytes;
      at("new").click();
      show();
      at("send").disabled = false;
    }
  } catch (e) {
    D.model = "nibble";
    show();
    at("state").textContent = e.message;
  }
  at("open").disabled = false;
}

const chosen = el("input", {type: "file", accept: ".nbl", multiple: "", hidden: "", "aria-label": "a .nbl file, or its parts"});
chosen.addEventListener("change", () => { if (chosen.files.length) open_files([...chosen.files]); chosen.value = ""; });
const button = el("button", {type: "button", id: "open"}, "Open a model");
button.addEventListener("click", () => chosen.click());
at("save").before(button, el("label", {hidden: ""}, "Model file", chosen));

const carried = at("file");
show();
if (carried) {
  const bytes = Uint8Array.from(atob(carried.textContent), c => c.charCodeAt(0));
  carried.remove();
  open_files([{name: carried.dataset.name, data: new Blob([bytes])}]);
} else {
  at("send").disabled = true;
  at("state").textContent = "Open a .nbl file to begin: it is read from this machine and sent nowhere.";
}
