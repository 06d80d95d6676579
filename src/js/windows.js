import { Object } from "./natives.js";

/** A frame that went elsewhere is another realm behind the same window, which nobody can give another prototype. */
const identityOf = (window) => Object.getPrototypeOf(window);

/** What there is for a window, made anew once another page is in it. Of one that is gone nothing is kept. */
export function ofWindow(all, window, make) {
  all.forEach((_, known) => known.closed && all.delete(known));
  let found = all.get(window);
  const realm = identityOf(window);
  if (found?.realm !== realm) {
    // A member that is not there yet may be asked for: nobody else is to be asked then.
    found = { __proto__: null, realm, ...make(found) };
    all.set(window, found);
  }
  return found;
}
