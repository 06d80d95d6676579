import wasm from "tokenward-wasm";
import { FORWARDED } from "./lender.js";
import { loadNow } from "./loader.js";
import { Map, Promise, Request, Response, addEventListener, clearTimeout, clients, nativeFetch, setTimeout } from "./natives.js";
import { readWorker } from "./options.js";
import { borrower } from "./ward.js";

/** How long the first request of a page waits for its ward to speak up. */
const WORD_MS = 5_000;

/** As good as none: a request has to wait for the page's. */
const NO_TOKEN = [{ access_token: "-", expires_in: 1 }, { requestedAt: 0 }];

/** What a page lends this worker. */
class Vault {
  /** Undefined: it has no ward, as far as is known. Null: nobody is signed in. Empty: that has yet to be seen. */
  session;
  user;
  /** Borrows, as long as there is a session. */
  ward;
  /** Which token that was. */
  mark = -1;
  /** Resolves when the page has told whether there is a session, or has had its time. */
  told;
  #say;
  #options;
  #fail;
  #word;
  #timer;

  constructor(say, options) {
    this.#say = say;
    this.#options = options;
    this.#wait(WORD_MS);
  }

  ask() {
    this.#say({ tokenward: "need", after: this.mark });
  }

  take({ session, user, loan, key }) {
    // What waits for a token of one session does not go with another one's.
    if (session !== this.session) this.#close();
    this.session = session;
    this.user = user;
    if (session === "") return this.#wait(this.#options.waitSeconds * 1000);
    if (session) this.ward ??= this.#borrower();
    if (loan?.access_token && loan.mark !== this.mark) {
      this.ward.setTokens(loan, { dpopKey: key });
      this.mark = loan.mark;
    }
    this.#done();
  }

  /** The page could not renew its token. */
  failed() {
    this.#fail?.();
  }

  #wait(ms) {
    this.told ??= new Promise((resolve) => (this.#word = resolve));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#done(), ms);
  }

  #done() {
    this.#word();
    this.told = undefined;
  }

  #close() {
    this.ward?.close();
    this.ward = undefined;
    this.mark = -1;
  }

  #borrower() {
    // What the page lends next ends the wait.
    const refresh = () =>
      new Promise((_, reject) => {
        this.#fail = reject;
        this.ask();
      });
    const { ward } = borrower({ ...this.#options, refresh });
    for (const name of FORWARDED) {
      ward.addEventListener(name, ({ detail }) => this.#say({ tokenward: "event", event: name, detail }));
    }
    ward.setTokens(...NO_TOKEN);
    return ward;
  }
}

export function authorizeRequests(given) {
  const { name = "", ...options } = { waitSeconds: 30, ...readWorker(given) };
  loadNow(wasm);
  const { covers } = borrower(options);
  const vaults = new Map();

  addEventListener("fetch", (event) => {
    const { request, clientId } = event;
    // A navigation may come from anywhere, and what a script asks for without CORS it cannot read.
    const isElements = request.mode === "no-cors" && request.destination !== "";
    if (!clientId || !(isElements || /^(cors|same-origin)$/.test(request.mode))) return;
    if (request.headers.has("authorization") || !covers(request)) return;
    event.respondWith(respond(request, clientId).catch(() => Response.error()));
  });

  addEventListener("message", (event) => {
    const { data, source } = event;
    if (data?.for !== name || !source) return;
    if (data.tokenward === "claim") event.waitUntil(clients.claim());
    if (data.tokenward === "failed") vaultOf(source).failed();
    if (data.tokenward === "lend") {
      vaultOf(source).take(data);
      source.postMessage({ tokenward: "heard", for: name, by: data.by });
    }
  });

  async function respond(request, clientId) {
    const vault = await lenderTo(clientId);
    if (vault?.ward) return vault.ward.fetch(withCors(request));
    return vault?.session === "" ? Response.error() : nativeFetch(request);
  }

  /** The vault of the page that a request is of. */
  async function lenderTo(clientId) {
    const known = vaults.get(clientId);
    if (known?.ward) return known;
    const client = await clients.get(clientId);
    if (!client) return undefined;
    const isPage = /^(top|aux)/.test(client.frameType);
    const all = isPage || windows().then((open) => Promise.all(open.map(asked)));
    if (client.type === "window") {
      const own = await asked(client);
      if (isPage || own.session !== undefined) return own;
    }
    // A frame or a worker without a ward: it may be of any page that is open, so that all have to be of one user.
    const warded = (await all).filter(({ session }) => session != null);
    const [first] = warded;
    if (!warded.every((other) => other === first || (first.user && other.user === first.user))) return undefined;
    return warded.find(({ mark }) => mark >= 0) ?? first;
  }

  async function asked(client) {
    if (!vaults.has(client.id)) vaultOf(client).ask();
    const vault = vaultOf(client);
    await vault.told;
    return vault;
  }

  function vaultOf(client) {
    let vault = vaults.get(client.id);
    if (!vault) {
      vault = new Vault((message) => client.postMessage({ ...message, for: name }), options);
      vaults.set(client.id, vault);
      forget();
    }
    return vault;
  }

  /** Wipes what pages lent that are gone. Nobody says when they go. */
  async function forget() {
    const open = (await windows()).map(({ id }) => id);
    for (const [id, vault] of vaults) {
      if (open.includes(id)) continue;
      vault.take({ session: null });
      vaults.delete(id);
    }
  }
}

const windows = () => clients.matchAll({ type: "window", includeUncontrolled: true });

/** What an element asks for could not carry a header. */
function withCors(request) {
  if (request.mode !== "no-cors") return request;
  const { url, method, headers, cache, redirect, referrer, referrerPolicy, integrity, signal } = request;
  return new Request(url, {
    method,
    headers,
    mode: "cors",
    credentials: "same-origin",
    cache,
    redirect,
    referrer,
    referrerPolicy,
    integrity,
    signal,
  });
}
