// The worker that holds the tokens. Its pages ask it to send requests and to sign in and out, and it asks them for what
// takes a document. It answers with no token; what it may send where is in the first message, once and for all.
import { invalid } from "./errors.js";
import { AbortController, JSON, Map, Promise, Set, addEventListener } from "./natives.js";
import { keepTransaction, takeTransaction } from "./keys.js";
import { AS_IS, vaultOf } from "./ward.js";
import { packError, packResponse, unpackError } from "./wire.js";

const EVENTS = ["signedin", "refreshed", "refreshdelayed", "refreshfailed", "signedout", "stepup", "insufficientscope"];

/** What pages may call of the ward. */
const CALLS = ["handleCallback", "refresh", "restore", "setTokens", "signIn", "signOut"];

let first;
let opening;
const ports = new Set();
/** Step-up events, for the page that answers one. */
const stepUps = new Map();

const stateOf = ({ ward }) => ({ signedIn: ward.signedIn, user: ward.user, snapshot: ward.snapshot() });

async function open({ read, answer }, page) {
  const options = JSON.stringify({ ...read, page: undefined });
  first ??= options;
  if (first !== options) throw invalid("invalid_option", "options must be those that this worker has already");
  opening ??= vaultOf(read, page, answer).then((vault) => {
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

  async function fetch(id, { url, body, ...init }) {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const { signal } = controller;
      const isStream = body && !body.byteLength && typeof body !== "string" && body.getReader;
      const answer = await vault.fetch(url, { ...init, body, signal, ...(isStream && { duplex: "half" }) });
      return answer === AS_IS ? [undefined] : packResponse(answer);
    } catch (error) {
      running.delete(id);
      throw error;
    }
  }

  async function answer(id, what, [args = {}, ...more]) {
    if (what === "open") {
      page.url = args.read.page;
      vault = await open(args, page);
      ports.add(port);
      return [];
    }
    if (what === "fetch") return fetch(id, args);
    if (what === "close") {
      ports.delete(port);
      vault.ward.close();
      return [];
    }
    if (!CALLS.includes(what)) return [];
    vault.turnTo(page);
    const { href, stepUp, ...options } = args;
    if (href) page.url = href;
    if (stepUp !== undefined) options.stepUp = stepUps.get(stepUp);
    const value = await vault.ward[what](options, ...more);
    if (!value?.response) return [value];
    const [response, transfer] = packResponse(value.response);
    return [{ ...value, response }, transfer];
  }

  port.onmessage = async ({ data: { id, what, args, answers, aborts, value, error } }) => {
    if (answers) {
      const { resolve, reject } = waiting.get(answers) ?? {};
      waiting.delete(answers);
      return error ? reject?.(unpackError(error)) : resolve?.(value);
    }
    if (aborts) return running.get(aborts)?.abort(value);
    const state = () => vault && stateOf(vault);
    try {
      const [value, transfer = []] = await answer(id, what, args);
      port.postMessage({ id, value, state: what === "close" ? undefined : state() }, transfer);
    } catch (thrown) {
      port.postMessage({ id, error: packError(thrown), state: what === "close" ? undefined : state() });
    }
  };
}

if ("onconnect" in globalThis) addEventListener("connect", ({ ports: [port] }) => serve(port));
else serve(globalThis);
