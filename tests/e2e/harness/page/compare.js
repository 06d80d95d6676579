// The page's side of the transparency tests: makes the same call with the native fetch and with the patched one, and writes
// down all that an app could see of it. It uses the globals of the realm that imports it.
const MICROTASKS = 8;
/** Only a hang takes this long. */
const HUNG_MS = 10_000;
const FRESH = { access_token: "fresh", expires_in: 3600 };
const STALE = { access_token: "stale", expires_in: 3600 };

let calls = 0;

/** What the page does before a patched call to a target, and right after it. */
const MOODS = {
  refused: { before: (ward) => ward.setTokens(STALE) },
  waiting: { before: (ward) => ward.setTokens({ access_token: "late", expires_in: 60 }, { requestedAt: Date.now() - 3_600_000 }) },
};

/**
 * Makes each call of a row, a function of `(fetch, url, t)`, natively and through the patch.
 *
 * @param {object} world `ward`; `bases`: URLs by target; `native`, `patched`, `direct`: functions to compare
 * @param {Record<string, { run: Function, answer?: object, targets: string[] }>} rows
 */
export async function attempts(world, rows) {
  const results = [];
  for (const [row, { run, answer, targets }] of Object.entries(rows)) {
    for (const target of targets) {
      const result = { row, target };
      for (const side of ["native", "patched"]) {
        const id = `id${side[0]}${String((calls += 1)).padStart(6, "0")}x`;
        const query = answer ? `?answer=${encodeURIComponent(JSON.stringify(answer))}` : "";
        const url = `${world.bases[target]}/${id}/tea${query}`;
        const fetch = side === "native" ? world.native : target === "direct" ? world.direct : world.patched;
        const mood = side === "patched" ? MOODS[target] : undefined;
        mood?.before(world.ward);
        const seen = await attempt(run, fetch, url, world, () => mood && world.ward.setTokens(FRESH));
        result[side] = { id, seen: JSON.parse(JSON.stringify(seen).replaceAll(id, "ID")) };
      }
      results.push(result);
    }
  }
  return results;
}

async function attempt(run, fetch, url, world, after) {
  const log = [];
  const t = tools(log, world, url);
  const outcome = {};
  let promise;
  try {
    promise = run(fetch, url, t);
    log.push(promise instanceof Promise ? "a promise" : typeof promise);
  } catch (error) {
    log.push("thrown");
    outcome.thrown = told(error, t);
  }
  const settled = Promise.prototype.then.call(
    Promise.resolve(promise),
    (value) => {
      log.push("fulfilled");
      return describe(value, t);
    },
    (error) => {
      log.push("rejected");
      return { rejected: told(error, t) };
    },
  );
  for (let count = 1; count <= MICROTASKS; count += 1) {
    await null;
    log.push(`microtask ${count}`);
  }
  after();
  let timer;
  const hung = new Promise((resolve) => {
    timer = setTimeout(resolve, HUNG_MS, "hung");
  });
  outcome.settled = await Promise.race([settled, hung]);
  clearTimeout(timer);
  for (const [name, look] of t.looks) {
    try {
      outcome[name] = await look();
    } catch (error) {
      outcome[name] = { rejected: told(error, t) };
    }
  }
  return { outcome, log };
}

/** What a row can use. */
function tools(log, world, url) {
  const looks = [];
  const t = {
    log: (what) => void log.push(what),
    looks,
    ...world.known,
    ward: world.ward,
    /** An error of the app's own. */
    mine: new RangeError("mine"),
    /** Looked at once the call has ended. */
    later: (name, look) => looks.push([name, look]),
    /** Any object, its reads written down: `got name`, and the other traps that come. */
    spy(object, name = "init") {
      const trap = (kind) => (target, ...rest) => {
        const [key] = rest;
        log.push(`${name} ${kind} ${key === undefined || typeof key === "object" ? "" : String(key)}`);
        return Reflect[kind](target, ...(kind === "get" ? [key] : rest));
      };
      const kinds = ["get", "has", "ownKeys", "getOwnPropertyDescriptor", "getPrototypeOf", "set", "defineProperty", "isExtensible"];
      return new Proxy(object, Object.fromEntries(kinds.map((kind) => [kind, trap(kind)])));
    },
    /** An object whose members are getters that write down that they were read, and what else is read of their values. */
    getters(members, name = "init") {
      const object = {};
      for (const [key, value] of Object.entries(members)) {
        Object.defineProperty(object, key, { enumerable: true, get: () => (log.push(`${name}.${key}`), value) });
      }
      return object;
    },
    /** An object that becomes this string, and writes it down. */
    text: (string, name = "text") => ({ toString: () => (log.push(`${name}.toString`), string) }),
    /** The same URL as the first time, and other ones later. */
    turning: (...urls) => ({ toString: () => (log.push("toString"), urls.length > 1 ? urls.shift() : urls[0]) }),
    /** Of what the mirror answers. */
    digest: "sha256-qfdNHsNuvesto/blhoCQzSotILPcynti9gMEsdPZ70I=",
    bytes: (length = 300) => Uint8Array.from({ length }, (_, at) => at * 7),
    relative: (from) => from.slice(location.origin.length),
    sibling: (target) => url.replace(/^.*?(?=\/id[a-z]\d+x)/, world.bases[target]),
    stream: (...chunks) =>
      new ReadableStream({
        pull(controller) {
          log.push("pull");
          if (chunks.length > 0) controller.enqueue(new TextEncoder().encode(chunks.shift()));
          else controller.close();
        },
      }),
  };
  return t;
}

/** An error, as far as it has to be alike. Engines word their messages by the function that was called. */
function told(error, t) {
  if (error === t.mine) return "the very error";
  if (typeof error !== "object" || error === null) return String(error);
  const realm = error.constructor === window[error.constructor?.name] ? "here" : "elsewhere";
  return { name: error.name, code: error.code ?? null, made: error.constructor?.name, realm };
}

async function describe(value, t) {
  if (Array.isArray(value)) return Promise.all(value.map((each) => describe(each, t)));
  if (value instanceof Error || value instanceof DOMException) return { error: told(value, t) };
  if (!(value instanceof Response)) return value ?? String(value);
  const { status, statusText, ok, type, url, redirected, bodyUsed, body } = value;
  const seen = { status, statusText, ok, type, url, redirected, bodyUsed, body: body && "a stream", locked: body?.locked };
  seen.plain = value.constructor === Response && Reflect.ownKeys(value).length === 0;
  seen.headers = [...value.headers].filter(([name]) => name !== "date");
  seen.guard = attemptSet(value.headers);
  if (bodyUsed || body?.locked) return seen;
  const clone = value.clone();
  seen.text = await value.text().catch((error) => told(error, t));
  seen.clone = [clone.url, clone.redirected, clone.type, await clone.text().catch((error) => told(error, t))];
  seen.used = value.bodyUsed;
  return seen;
}

function attemptSet(headers) {
  try {
    headers.set("x-new", "1");
    return "none";
  } catch ({ name }) {
    return name;
  }
}
