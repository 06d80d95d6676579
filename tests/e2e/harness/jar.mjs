// As much of a browser as a sign-in takes: cookies, redirects, and pages that send a form by themselves.

export class CookieJar {
  #cookies = new Map();
  #stopAt;

  /** @param {(url: URL) => boolean} stopAt which redirects are not followed: those back to the app */
  constructor(stopAt) {
    this.#stopAt = stopAt;
  }

  /** One request, no redirect followed. */
  async fetch(url, { headers, ...init } = {}) {
    const { hostname, pathname } = new URL(url);
    const cookie = this.#header(hostname, pathname);
    const response = await fetch(url, { ...init, redirect: "manual", headers: { ...headers, cookie } });
    for (const text of response.headers.getSetCookie()) this.#set(hostname, text);
    return response;
  }

  /** Follows redirects up to a page (a Response) or back to the app (its URL). */
  async follow(url, init) {
    const response = await this.fetch(url, init);
    if (!response.headers.has("location")) return response;
    const target = new URL(response.headers.get("location"), url);
    return this.#stopAt(target) ? target : this.follow(target.href);
  }

  /** Sends the form of a page, with more fields. */
  submit(html, url, fields = {}) {
    const [, action = url] = /<form[^>]* action="([^"]+)"/.exec(html) ?? [];
    const body = new URLSearchParams(fields);
    for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)) body.append(name, value);
    return this.follow(action, { method: "POST", body });
  }

  /** What the page's scripts can not see, and tests can. */
  get(name) {
    return [...this.#cookies.values()].find((cookie) => cookie.name === name);
  }

  #set(hostname, text) {
    const [pair, ...rest] = text.split(/; */);
    const attributes = Object.fromEntries(
      rest.map((part) => part.split("=")).map(([attribute, value]) => [attribute.toLowerCase(), value]),
    );
    const name = pair.slice(0, pair.indexOf("="));
    const path = attributes.path ?? "/";
    const key = `${hostname} ${path} ${name}`;
    const ended = attributes["max-age"] === "0" || Date.parse(attributes.expires) < Date.now();
    if (ended) this.#cookies.delete(key);
    else this.#cookies.set(key, { name, pair, hostname, path, text });
  }

  #header(hostname, pathname) {
    const sent = [...this.#cookies.values()].filter((cookie) => cookie.hostname === hostname && pathname.startsWith(cookie.path));
    return sent.map(({ pair }) => pair).join("; ");
  }
}
