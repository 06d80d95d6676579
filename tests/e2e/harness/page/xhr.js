// The page's side of the tests of XMLHttpRequest: the log of all that an app sees of a request.
export const EVENTS = ["readystatechange", "loadstart", "progress", "abort", "error", "load", "timeout", "loadend"];

const look = (read) => {
  try {
    return read();
  } catch ({ name }) {
    return name;
  }
};

/** What is in an answer, as something that JSON holds. */
export async function content(value) {
  if (value instanceof Blob) return `${value.type}: ${[...new Uint8Array(await value.arrayBuffer())]}`;
  if (value instanceof ArrayBuffer) return `bytes: ${[...new Uint8Array(value)]}`;
  if (value instanceof Document) return `document: ${new XMLSerializer().serializeToString(value)}`;
  return value;
}

/** Everything that can be read of it. */
export const view = (xhr) => ({
  readyState: xhr.readyState,
  status: xhr.status,
  statusText: xhr.statusText,
  responseURL: xhr.responseURL,
  headers: xhr.getAllResponseHeaders(),
  tea: xhr.getResponseHeader("x-tea"),
  responseType: xhr.responseType,
  timeout: xhr.timeout,
  withCredentials: xhr.withCredentials,
  text: look(() => xhr.responseText?.length),
  xml: look(() => xhr.responseXML && "a document"),
  response: look(() => (typeof xhr.response === "string" ? xhr.response.length : xhr.response && "an object")),
});

/** How to listen: an event handler, a listener, one that captures. */
export const listenings = {
  handler: (target, type, hear) => (target[`on${type}`] = hear),
  listener: (target, type, hear) => target.addEventListener(type, hear),
  capture: (target, type, hear) => target.addEventListener(type, hear, true),
};

export class Log {
  entries = [];

  add(entry) {
    // The browser says as often as it likes that there is more.
    const repeats = /^(xhr|upload)\d* (readystatechange 3|progress)/;
    const kind = (text) => repeats.exec(text)?.[0];
    const { entries } = this;
    const same = entries.findLastIndex((other) => kind(other) && kind(other) === kind(entry));
    if (kind(entry) && same >= 0 && entries.slice(same).every(kind)) entries.splice(same, 1);
    entries.push(entry);
  }

  /** Writes down all events of a request, and what is seen of it then. */
  watch(xhr, { listen = listenings.listener, upload = false, name = "" } = {}) {
    const hear = (who) => (event) => {
      const { type, loaded, total, lengthComputable, isTrusted } = event;
      const { status, statusText, responseURL } = xhr;
      const progress = loaded === undefined ? "" : ` ${loaded}/${total}/${lengthComputable}`;
      const seen = `${status} ${statusText} ${responseURL} ${xhr.getAllResponseHeaders().length > 0}`;
      // Chromium tells of progress at most every 50 ms, also of that of the request before.
      const state = type === "progress" ? "" : ` ${xhr.readyState}`;
      this.add(`${who}${name} ${type}${state}${progress} ${seen} ${isTrusted ? "trusted" : "untrusted"}`);
      Promise.resolve().then(() => this.add(`microtask after ${who}${name} ${type}`));
    };
    for (const type of EVENTS) listen(xhr, type, hear("xhr"));
    if (upload) for (const type of EVENTS) listen(xhr.upload, type, hear("upload"));
  }
}

/** Resolves when it is over in whatever way. */
export const over = (xhr) => new Promise((resolve) => xhr.addEventListener("loadend", resolve, { once: true }));

/** Resolves in another task. */
export const task = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(0);
  });

/** A ward of the server under `origin` that renews by itself. */
export async function makeWard(kit, origin, options) {
  kit.refreshes = 0;
  const refresh = async () => {
    kit.refreshes += 1;
    await kit.refreshing;
    await task();
    return { access_token: `fresh${kit.refreshes}`, expires_in: 300 };
  };
  return kit.create({ clientId: undefined, endpoints: undefined, resources: [{ url: `${origin}/v1` }], refresh, ...options });
}

/** The states of a session when a request is made. */
export const states = {
  fresh: (ward) => ward.setTokens({ access_token: "fresh0", expires_in: 300 }),
  expired: (ward) => ward.setTokens({ access_token: "old", expires_in: 30 }, { requestedAt: Date.now() - 60_000 }),
  refused: (ward) => ward.setTokens({ access_token: "stale", expires_in: 300 }),
};

/** Plays a case natively and in a state of the session; gives both logs. */
export async function compare(kit, origin, play, state, given) {
  // A resource that refuses again and again is not asked again for a while.
  const ward = await makeWard(kit, origin);
  const run = async () => {
    const log = new Log();
    await play({ origin, log, over, view, content, task, ...given });
    await task();
    return log.entries;
  };
  const native = await run();
  states[state](ward);
  ward.install({ xhr: true });
  const patched = await run();
  ward.close();
  return { native, patched };
}

/** Sends one and gives what came of it. `given`: `method`, `headers`, `body`, `set` properties, `log`. */
export async function request(url, { method = "GET", headers = {}, body, set = {}, log } = {}) {
  const xhr = new XMLHttpRequest();
  log?.watch(xhr, { upload: true });
  xhr.open(method, url);
  Object.assign(xhr, set);
  for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
  const ended = over(xhr);
  let error = null;
  xhr.addEventListener("error", (event) => (error = event.error?.code ?? "unknown"));
  xhr.send(body);
  await ended;
  return { status: xhr.status, error };
}
