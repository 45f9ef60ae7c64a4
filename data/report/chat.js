/* The model behind the page: the server that the page came from. */
const headers = () => at("key").value ? {"Authorization": "Bearer " + at("key").value} : {};

/* The events of a stream, each parsed. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "";;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    for (let i; (i = text.indexOf("\n\n")) >= 0; text = text.slice(i + 2))
      if (text.startsWith("data: ") && !text.startsWith("data: [DONE]")) yield JSON.parse(text.slice(6, i));
  }
}

/* The events of the answer to a request's body, as OpenAI's interface streams them. */
async function* ask(body, signal) {
  const r = await fetch(D.chat ? "v1/chat/completions" : "v1/completions",
    {method: "POST", headers: {"Content-Type": "application/json", ...headers()}, body: JSON.stringify(body), signal});
  if (!r.ok) throw Error((await r.json().catch(() => ({error: {message: "status " + r.status}}))).error.message);
  yield* events(r);
}

/* What the model takes, for the line of state. */
async function memory() {
  const r = await fetch("metrics", {headers: headers()});
  const text = r.ok ? await r.text() : "", value = name => Number((text.match(new RegExp("^nibble_" + name + " (\\S+)$", "m")) || [])[1]);
  return r.ok ? `; memory ${size(value("memory_own_bytes"))} and ${size(value("memory_file_bytes"))} of the file` : "";
}
show();
