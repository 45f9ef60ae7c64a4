# A suite's page in a real browser: its rows, what is published beside them and what was not run, without an error.
. "$LIB"
find_browser
[ -n "$browser" ] || skip "no chromium"
mkdir -p sets/one
questions sets/one/test.jsonl 20
cat >mine.json <<'T'
{"suite": "mine", "published": "phi3-report", "rows": [
 {"name": "BoolQ", "task": "custom", "data": ["one"]}, {"name": "<b>", "needs": "</script> a sandbox"}]}
T
nibble eval "$NBL" --suite ./mine.json --data sets -q --overlong truncate --html s.html >/dev/null
{
  catching s.html
  cat <<'T'
<script>{
const need = (what, ok) => { if (!ok) failed.push(what); }, rows = document.querySelector("tbody").rows;
const cells = r => [...rows[r].cells].map(c => c.textContent);
need("rows", rows.length === 3 && cells(0)[0] === "BoolQ" && cells(0)[2] === "20");
need("published", cells(0).includes("77.2?") && cells(0)[9] === "" && rows[0].querySelectorAll("svg line").length === 10);
need("not run", cells(1)[0] === "<b>" && cells(1)[2] === "not run");
need("why", document.querySelector("li").textContent === "<b>: it needs <" + "/script> a sandbox");
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
}</script>
T
} >test.html
for width in 1200 390; do
  in_browser $width || skip "$browser does not run here"
done
