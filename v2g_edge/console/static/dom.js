// Elements from script alone: texts never become markup, and nothing is inline.

const SVG = "http://www.w3.org/2000/svg";

// "svg:rect" makes an SVG element. Attributes that are null, undefined or false are left out.
export function el(tag, attributes = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Make the children of `place` equal to `nodes` with as few changes as can be, so that focus and selection stay.
export function show(place, ...nodes) {
  const wanted = el("div", {}, ...nodes);
  patchChildren(place, wanted);
}

function patch(old, wanted) {
  if (old.nodeType !== wanted.nodeType || old.nodeName !== wanted.nodeName) {
    old.replaceWith(wanted);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return;
  }
  // A person has opened or closed it; the next picture leaves it so.
  const kept = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && !kept(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  patchChildren(old, wanted);
}

function patchChildren(old, wanted) {
  const children = [...wanted.childNodes]; // some of them move into `old` below
  const keyed = new Map([...old.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
  children.forEach((child, place) => {
    const same = child.dataset?.key ? keyed.get(child.dataset.key) : undefined;
    if (same && old.childNodes[place] !== same) old.insertBefore(same, old.childNodes[place] ?? null);
    const there = old.childNodes[place];
    if (there) patch(there, child);
    else old.append(child);
  });
  while (old.childNodes.length > children.length) old.lastChild.remove();
}
