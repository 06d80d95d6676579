// The worker that holds the tokens. Its pages ask it to send requests and to sign in and out, and it asks them for what
// takes a document. It answers with no token; what it may send where is in the first message, once and for all.
import { TokenWardError, invalid } from "./errors.js";
import wasm from "tokenward-wasm";
import { AbortController, JSON, Map, Promise, Set, addEventListener } from "./natives.js";
import { keepTransaction, takeTransaction } from "./keys.js";
import { preset } from "./loader.js";
import { AS_IS, vaultOf } from "./ward.js";
import { packError, packResponse, unpackError } from "./wire.js";

preset(wasm);

const EVENTS = ["signedin", "refreshed", "refreshdelayed", "refreshfailed", "signedout", "stepup", "insufficientscope"];

/** What pages may call of the ward. */
const CALLS = ["handleCallback", "refresh", "restore", "setTokens", "signIn", "signOut"];

let first;
let opening;
const ports = new Set();
/** Step-up events, for the page that answers one. */
const stepUps = new Map();

const stateOf = ({ ward }) => ({ signedIn: ward.signedIn, user: ward.user, snapshot: ward.snapshot() });

async function open(read, page) {
  const options = JSON.stringify({ ...read, page: undefined });
  if (first !== options && ports.size === 0) {
    // Nobody is there any more who would miss it.
    await opening?.then(({ ward }) => ward.close());
    opening = undefined;
    first = options;
  }
  if (first !== options) throw invalid("invalid_option", "options must be those that this worker has already");
  opening ??= vaultOf(read, page).then((vault) => {
    for (const name of EVENTS) {
      vault.ward.addEventListener(name, (event) => {
        const id = stepUps.size;
        if (name === "stepup") stepUps.set(id, event);
        for (const port of ports) port.postMessage({ event: name, detail: event.detail, stepUp: id, state: stateOf(vault) });
      });
    }
    return vault;
  });
  opening.catch(() => (opening = first = undefined));
  return opening;
}

function serve(port) {
  const running = new Map();
  const waiting = new Map();
  let asks = 0;
  let vault;
  /** The authorization response that the page came with. */
  let response;

  /** Has the page do what takes a document. */
  const ask = (what, args, stop) =>
    new Promise((resolve, reject) => {
      const id = (asks += 1);
      waiting.set(id, { resolve, reject });
      stop?.addEventListener("abort", () => {
        port.postMessage({ ask: id, stops: true });
        reject(stop.reason);
      });
      port.postMessage({ ask: id, what, args });
    });

  const page = {
    url: undefined,
    keep: keepTransaction,
    take: takeTransaction,
    leave: (url) => ask("leave", [url]),
    popup: () => ({ answer: (url, state, stop) => ask("popup", [url, state], stop), close: () => void ask("close", []) }),
    frame: (url, state, stop) => ask("frame", [url, state], stop),
  };

  const begin = (id) => {
    const controller = new AbortController();
    running.set(id, controller);
    return controller.signal;
  };

  async function fetch(id, { url, ...init }) {
    const signal = begin(id);
    try {
      const answering = vault.fetch(url, { ...init, signal });
      const state = stateOf(vault);
      if (state.snapshot.waiting > 0) port.postMessage({ state });
      const answer = await answering;
      return answer === AS_IS ? [undefined] : packResponse(answer);
    } catch (error) {
      running.delete(id);
      throw error;
    }
  }

  async function answer(id, what, [args = {}, ...more]) {
    if (what === "open") {
      page.url = args.read.page;
      response = args.answer;
      vault = await open(args.read, page);
      ports.add(port);
      return [];
    }
    if (what === "fetch") return fetch(id, args);
    if (!CALLS.includes(what)) return [];
    vault.turnTo(page, response);
    // As long as nothing is used up, it may be called again.
    if (what === "handleCallback") {
      const value = await vault.ward.handleCallback().catch((error) => {
        if (!error.retryable) response = undefined;
        throw error;
      });
      response = undefined;
      return [value];
    }
    const { href, stepUp, ...options } = args;
    if (href) page.url = href;
    if (stepUp !== undefined) options.stepUp = stepUps.get(stepUp);
    if (what === "signIn") options.signal = begin(id);
    const value = await vault.ward[what](options, ...more);
    if (!value?.response) return [value];
    const [packed, transfer] = packResponse(value.response);
    return [{ ...value, response: packed }, transfer];
  }

  function close() {
    ports.delete(port);
    if (ports.size > 0) return;
    vault?.ward.close();
    first = opening = undefined;
    // A shared one ends with its last page.
    if (port === globalThis) globalThis.close();
  }

  port.onmessage = async ({ data: { id, what, args, answers, aborts, value, error } }) => {
    if (what === "close") return close();
    // It may come back, and the worker outlive it.
    if (what === "leave") return void ports.delete(port);
    if (answers) {
      const { resolve, reject } = waiting.get(answers) ?? {};
      waiting.delete(answers);
      return error ? reject?.(unpackError(error, TokenWardError)) : resolve?.(value);
    }
    if (aborts) return running.get(aborts)?.abort(value);
    const state = () => vault && ports.has(port) && stateOf(vault);
    try {
      const [value, transfer = []] = await answer(id, what, args);
      port.postMessage({ id, value, state: state() }, transfer);
    } catch (thrown) {
      port.postMessage({ id, error: packError(thrown), state: state() });
    }
  };
}

if ("onconnect" in globalThis) addEventListener("connect", ({ ports: [port] }) => serve(port));
else serve(globalThis);
