# The page of a calibrated file in a real browser: no error, every matrix drawn and numbered, names, nothing from elsewhere.
. "$LIB"
find_browser
calibration_text 200 >text
mkdir '<b>&amp;'
f='<b>&amp;/it.nbl'
nibble quantize "$TOY" -o "$f" -q --calib text --tokens 256 --seq 32 --budget 70kB --probe-tokens 32 >/dev/null
nibble inspect "$f" --html r.html --json >j
nibble inspect "$NBL" --html plain.html >/dev/null
fails '[12]' '*--html*' nibble inspect "$TOY" --html x.html
fails '[12]' '*no/such*' nibble inspect "$NBL" --html no/such/x.html
[ ! -e x.html ]
grep -q '"sketch" *:' r.html && exit 1
[ -n "$browser" ] || skip "no chromium"
check() { # PAGE SCRIPT
  {
    catching "$1"
    cat <<T
<script>{
const need = (what, ok) => { if (!ok) failed.push(what); };
const table = i => document.querySelectorAll(".heat")[i], cell = (i, l, s) => table(i).tBodies[0].rows[l].cells[s + 1].textContent;
$2
need("images have names", [...document.querySelectorAll("svg")].every(s => s.getAttribute("aria-label")));
need("tables have captions", [...document.querySelectorAll(".heat, .bars")].every(t => t.caption.textContent));
need("cells have headers", [...document.querySelectorAll(".heat th, .bars thead th")].every(h => h.scope));
need("no NaN", !/NaN|undefined|Infinity/.test(document.body.innerText));
need("nothing from elsewhere", ![...document.querySelectorAll("[src], [href]")].some(e => !/^data:/.test(e.getAttribute("src") || e.getAttribute("href"))));
need("page is no wider than the window", document.documentElement.scrollWidth <= innerWidth);
need("cells do not overflow", [...document.querySelectorAll(".heat td")].every(c => c.scrollWidth <= c.clientWidth + 1));
document.title = failed.length ? "failed: " + failed.join("; ") : "all is well";
}</script>
T
  } >test.html
  for width in 1100 390; do
    in_browser $width || skip "$browser does not run here"
    ! grep CONSOLE log >&2
  done
}
i=0
until [ "$(jsonq tensors.$i.name <j)" = layers.1.gate ]; do i=$((i + 1)); done
type=$(jsonq tensors.$i.type <j)
check r.html "
need('heading', document.querySelector('h1').textContent === 'it.nbl');
need('four maps', document.querySelectorAll('.heat').length === 4 && table(3).tBodies[0].rows.length === 2);
const t = '$type', shown = (t[0] === 'u' ? t[1] + 'u' : t[1]) + ' ' + t.slice(3);
need('bits: ' + cell(0, 1, 4) + ', not ' + shown, cell(0, 1, 4) === shown);
need('loss', Math.abs(parseFloat(cell(1, 0, 5)) / (100 * $(jsonq metadata.provenance.matrices.loss.5 <j)) - 1) < .06);
need('probe', Math.abs(parseFloat(cell(2, 1, 6)) / (1000 * $(jsonq metadata.provenance.matrices.probe_kl.13 <j)) - 1) < .06);
need('a chart', document.querySelectorAll('svg').length === 1);
need('bytes', document.querySelectorAll('.bars tbody tr').length === 8);"
check plain.html "
need('one map', document.querySelectorAll('.heat').length === 1 && /^4 64\$/.test(cell(0, 0, 0)));
need('no chart', document.querySelectorAll('svg').length === 0);"
