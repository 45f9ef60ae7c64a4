# The report in a real browser: no error, tables sort and filter, everything has a name.
. "$LIB"
find_browser
[ -n "$browser" ] || skip "no chromium"
questions q.jsonl 60
sed -e 's/"subject": "s1"/"subject": "<s1> \&amp; more"/' q.jsonl >q2.jsonl
nibble eval "$TOY" --task custom --data q2.jsonl -q --texts --out base.json >/dev/null
cat >task.json <<'T'
{"task": "toyset", "data": {"splits": {"test": ["q2.jsonl"]}, "id": "id", "subject": "subject", "question": "question",
 "choices": "choices[]", "answer": "answer"}, "prompt": "{{question}}\n{{options}}Answer:"}
T
nibble eval "$TOY" --task ./task.json --data q2.jsonl -q --texts --out base.json >/dev/null
nibble eval "$NBL" --task ./task.json --data q2.jsonl -q --texts --out cand.json >/dev/null
nibble compare base.json cand.json --any-model --margin 99 --html r.html >/dev/null
{
  catching r.html
  cat <<'T'
<script>{
const need = (what, ok) => { if (!ok) failed.push(what); };
const cells = i => [...document.querySelectorAll("table")[1].tBodies[0].rows].map(r => r.cells[i].textContent);
need("verdict", document.querySelector("h1").textContent.startsWith("pass"));
need("fits in 1,200 pixels", innerWidth < 1200 || [...document.querySelectorAll(".scroll")].every(x => x.scrollWidth <= x.clientWidth));
need("subjects", cells(0).length === 3 && cells(0).includes("<s1> &amp; more"));
const heads = document.querySelectorAll("table")[1].querySelectorAll("th button");
heads[3].click();
const down = cells(3).map(Number);
need("sorts down", down[0] >= down[1] && down[1] >= down[2]);
heads[3].click();
const up = cells(3).map(Number);
need("sorts up", up[0] <= up[1] && up[1] <= up[2]);
need("aria-sort", document.querySelectorAll("[aria-sort=ascending]").length === 1);
const filter = document.getElementById("subject-filter");
filter.value = "s2";
filter.dispatchEvent(new Event("input"));
need("filters", cells(0).length === 1 && cells(0)[0] === "s2");
const flips = () => document.querySelectorAll("#questions details").length, all = flips();
const kind = document.getElementById("flip-kind");
kind.value = "lost";
kind.dispatchEvent(new Event("change"));
need("flips filter", flips() <= all && [...document.querySelectorAll("#questions summary")].every(s => s.textContent.startsWith("lost")));
need("images have names", [...document.querySelectorAll("svg")].every(s => s.getAttribute("aria-label")));
need("controls have names", [...document.querySelectorAll("input, select")].every(i => i.labels.length === 1));
need("buttons have names", [...document.querySelectorAll("button")].every(b => b.textContent.trim()));
need("nothing from elsewhere", ![...document.querySelectorAll("[src], [href]")].some(e => !/^data:/.test(e.getAttribute("src") || e.getAttribute("href"))));
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
}</script>
T
} >test.html
for width in 1200 390; do
  in_browser $width || skip "$browser does not run here"
done
# A run alone: no error, its parts, and nothing of a comparison.
nibble eval "$NBL" --task ./task.json --data q2.jsonl -q --texts --html one.html >/dev/null
{
  catching one.html
  cat <<'T'
<script>{
const need = (what, ok) => { if (!ok) failed.push(what); }, text = document.getElementById("main").textContent;
need("subjects", document.querySelectorAll("table")[1].tBodies[0].rows.length === 3);
need("charts", document.querySelectorAll("figure").length >= 3);
need("wrong answers", document.querySelectorAll("#questions details").length > 0);
need("no comparison", !/baseline|candidate|flips|undefined|NaN/i.test(text));
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
}</script>
T
} >test.html
in_browser 390
# A folder: both charts have a point for every candidate.
mkdir runs
cp cand.json runs/a.json
nibble quantize -q "$TOY" -o eight.nbl --fast --bits 8 --codes uniform >/dev/null
nibble eval eight.nbl --task ./task.json --data q2.jsonl -q --out runs/b.json >/dev/null
nibble compare base.json runs --html folder.html >/dev/null || [ $? -ge 3 ]
{
  catching folder.html
  cat <<'T2'
<script>{
const need = (what, ok) => { if (!ok) failed.push(what); };
const points = title => { const f = [...document.querySelectorAll("figure")].find(f => f.textContent.startsWith(title)); return f ? [...f.querySelectorAll("circle")] : []; };
need("scores", points("Score (%) against size").length === 3);
const kl = points("KL divergence of the answers (nats) against size");
need("divergences", kl.length === 2 && kl.every(c => c.getAttribute("cy") >= 20 && c.getAttribute("cy") <= 223));
need("eight bits are nearer", Math.max(...kl.map(c => +c.getAttribute("cy"))) === +kl.sort((a, b) => b.getAttribute("cx") - a.getAttribute("cx"))[0].getAttribute("cy"));
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
}</script>
T2
} >test.html
in_browser 1200
