import wasm from "tokenward-wasm";
import { FORWARDED } from "./lender.js";
import { loadNow } from "./loader.js";
import { Map, Promise, Request, Response, addEventListener, clients, nativeFetch, setTimeout } from "./natives.js";
import { readWorker } from "./options.js";
import { borrower } from "./ward.js";

/** How long the first request of a page waits for its ward to speak up. */
const WORD_MS = 5_000;

/** What a page lends this worker. */
class Vault {
  /** Undefined or null: nobody is signed in. */
  ward;
  user;
  /** Whether the page has a ward. */
  isWarded = false;
  /** Whether it has a session, but no token now. */
  isEmpty = false;
  #say;
  #options;
  #mark = -1;
  #fail;
  #word;
  /** Resolves when the page has told what it has, or keeps silent. */
  told = new Promise((resolve) => (this.#word = resolve));

  constructor(say, options) {
    this.#say = say;
    this.#options = options;
    setTimeout(() => this.isWarded || this.#word(), WORD_MS);
  }

  ask() {
    this.#say({ tokenward: "need", after: this.#mark });
  }

  take({ tokens, mark, user }) {
    this.isWarded = true;
    this.isEmpty = false;
    this.user = user;
    if (!tokens) {
      this.close();
    } else if (mark !== this.#mark) {
      this.ward ??= this.#borrower();
      this.ward.setTokens(tokens);
    }
    this.#mark = tokens ? mark : -1;
    this.#word();
  }

  /** It will tell. */
  wait() {
    this.isWarded = true;
  }

  /** The page could not renew its token. */
  failed() {
    this.isWarded = this.isEmpty = true;
    this.#fail?.();
    this.#word();
  }

  close() {
    this.ward?.close();
    this.ward = null;
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
    return ward;
  }
}

export function authorizeRequests(given) {
  const { name = "", ...options } = readWorker(given);
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
    if (data?.for !== name) return undefined;
    switch (data.tokenward) {
      case "claim":
        return event.waitUntil(clients.claim());
      case "wait":
        return vaultOf(source).wait();
      case "lend":
        vaultOf(source).take(data);
        return source.postMessage({ tokenward: "heard", for: name });
      case "failed":
        return vaultOf(source).failed();
    }
  });

  async function respond(request, clientId) {
    const vault = await lenderTo(clientId);
    if (vault?.ward) return vault.ward.fetch(withCors(request));
    if (!vault?.isEmpty) return nativeFetch(request);
    // The next one asks again.
    vaults.delete(clientId);
    return Response.error();
  }

  /** The vault of the page that a request is of. */
  async function lenderTo(clientId) {
    const known = vaults.get(clientId);
    if (known?.ward) return known;
    const client = await clients.get(clientId);
    if (!client) return undefined;
    if (client.type === "window") {
      const own = await asked(client);
      if (own.isWarded || client.frameType !== "nested") return own;
    }
    // A frame or a worker without a ward: it may be of any page that is open, so that all have to be of one user.
    const open = await Promise.all((await windows()).map(asked));
    const lenders = open.filter(({ ward }) => ward);
    const [first] = lenders;
    return lenders.every((other) => other === first || (first.user && other.user === first.user)) ? first : undefined;
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
      vault.close();
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
