/* What the pages have in common. */
const size = x => x >= 1e9 ? (x / 1e9).toFixed(3) + " GB" : x >= 1e6 ? (x / 1e6).toFixed(1) + " MB" : (x / 1e3).toFixed(1) + " kB";
const short = s => s.split("/").filter(x => x).pop() || s;

/* An element; attributes by name, children as text or elements. */
function el(name, attrs, ...children) {
  const e = document.createElement(name);
  for (const k in attrs || {}) if (attrs[k] != null) e.setAttribute(k, attrs[k]);
  e.append(...children.filter(c => c != null));
  return e;
}
function svg(name, attrs, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const k in attrs || {}) e.setAttribute(k, attrs[k]);
  if (text != null) e.textContent = text;
  return e;
}
