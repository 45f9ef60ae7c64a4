/* What the pages have in common. */
const size = x => x >= 1e9 ? (x / 1e9).toFixed(3) + " GB" : x >= 1e6 ? (x / 1e6).toFixed(1) + " MB" : (x / 1e3).toFixed(1) + " kB";
const short = s => s.split("/").filter(x => x).pop() || s;

/* Round values from lo to hi for an axis, at most n + 1, as [value, label]. */
function ticks(lo, hi, n) {
  const least = (hi - lo || 1) / n, power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 2.5, 5, 10].find(m => m * power >= least * (1 - 1e-9)) * power, all = [];
  for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++) all.push([i * step, String(+(i * step).toPrecision(6))]);
  return all;
}

/* An element; attributes by name, children as text or elements. */
function el(name, attrs, ...children) {
  const e = document.createElement(name);
  for (const k in attrs || {}) if (attrs[k] != null) e.setAttribute(k, attrs[k]);
  e.append(...children.filter(c => c != null));
  return e;
}
/* A line of an axis with its label. */
const rule = (x1, x2, y, label) => [svg("line", {x1, x2, y1: y, y2: y, class: "axis"}), svg("text", {x: x1 - 4, y: y + 4, "text-anchor": "end"}, label)];
function svg(name, attrs, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const k in attrs || {}) e.setAttribute(k, attrs[k]);
  if (text != null) e.textContent = text;
  return e;
}
