import { WeakMap } from "./natives.js";

/** What each function that was put in the place of another stands for, and the gate it leads to. */
const patches = new WeakMap();

/** Puts what `make` makes of a method in its place. */
export function patch(object, name, gate, make) {
  const next = object[name];
  const patched = make(next);
  patches.set(patched, { next, gate });
  object[name] = patched;
}

/** Takes back what leads nowhere any more. On top may be one that was closed while another stood on it. */
export function unpatch(object, name) {
  for (let found; (found = patches.get(object[name])) && !found.gate.core; ) object[name] = found.next;
}
