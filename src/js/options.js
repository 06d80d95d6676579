import { invalid } from "./errors.js";
import { Array, Object, URL, document, hrefOf, location } from "./natives.js";

const TYPES = {
  string: [(value) => typeof value === "string" && value !== "", "must be a string that is not empty"],
  number: [Number.isFinite, "must be a number"],
  time: [Number.isFinite, "must be a number of milliseconds since the Unix epoch"],
  boolean: [(value) => typeof value === "boolean", "must be true or false"],
  function: [(value) => typeof value === "function", "must be a function"],
  array: [Array.isArray, "must be an array"],
  source: [(value) => /string|object/.test(typeof value), "must be a URL, bytes or a module"],
  // Of another origin it has a `self` as well, and nothing else that could be read.
  window: [
    (value) => {
      try {
        return value.self === value && typeof value.fetch === "function";
      } catch {
        return false;
      }
    },
    "must be a window of this origin",
  ],
  key: [
    ({ privateKey, publicKey } = {}) => privateKey?.algorithm.namedCurve === "P-256" && publicKey?.extractable === true,
    "must be a CryptoKeyPair for ES256",
  ],
  any: [() => true],
};

const OPTIONS = {
  issuer: "string",
  clientId: "string",
  endpoints: "any",
  redirectUri: "url",
  relayUri: "url",
  postLogoutRedirectUri: "url",
  scope: "string",
  restore: "array",
  session: "any",
  resources: "array",
  refresh: "function",
  waitSeconds: "number",
  requestTimeoutSeconds: "number",
  maxOutageSeconds: "number",
  dpop: "boolean",
  dangerouslyAllowHttp: "boolean",
  dangerouslyExposeAccessToken: "boolean",
  isolation: "string",
  worker: "source",
  wasm: "source",
};

const { resources, waitSeconds, dangerouslyAllowHttp } = OPTIONS;

// In the order of the engine's Endpoint.
const ENDPOINTS = {
  token: "url",
  revocation: "url",
  authorization: "url",
  pushedAuthorization: "url",
  jwks: "url",
  endSession: "url",
};

const SIGN_IN = {
  mode: "string",
  returnTo: "string",
  scope: "string",
  prompt: "string",
  loginHint: "string",
  maxAge: "number",
  acrValues: "string",
  uiLocales: "string",
  resource: "any",
  extraParams: "any",
  pushed: "boolean",
  stepUp: "any",
  signal: "any",
};

const fail = (key, rule) => {
  throw invalid("invalid_option", `${key} ${rule}`);
};

/** Reads the options, each key once, checks their types and parses their URLs. The rules for them are Core's. */
export function readOptions(given) {
  const options = read(given, "options", "", OPTIONS);
  if (!options.resources) fail("resources", TYPES.array[1]);
  const { issuer, restore = [], endpoints: server = {}, session: backend = {} } = options;
  const endpoints = read(server, "endpoints", "endpoints.", ENDPOINTS);
  const session = read(backend, "session", "session.", { url: "path", signOutUrl: "path", tokenEndpoint: "url" });
  for (const way of restore) if (!/^(session|silent)$/.test(way)) fail("restore", "must hold session and silent only");
  if (!/^(page|worker)$/.test(options.isolation ?? "page")) fail("isolation", "must be page or worker");
  if (options.isolation === "worker" && options.refresh) fail("refresh", "must not be set with isolation");
  if (restore.includes("session") && !session.url) fail("session.url", "must be set");
  return {
    ...options,
    // As parsed: they say which wards are of one session.
    endpoints,
    session,
    // In the order of the engine's KEYS.
    urls: [
      ...Object.keys(ENDPOINTS).map((name) => endpoints[name]),
      session.url,
      session.signOutUrl,
      options.redirectUri,
      options.relayUri,
      options.postLogoutRedirectUri,
      issuer && parseUrl(issuer, "issuer"),
    ],
    scope: options.scope ?? "openid",
    restore: Array.from(restore),
    silent: restore.includes("silent"),
    calls: options.refresh !== undefined,
    page: location?.href,
    resources: Array.from(options.resources, (entry, at) => {
      const name = `resources[${at}]`;
      const resource = read(entry, name, `${name}.`, { url: "url", methods: "array" });
      return resource.url === undefined ? fail(`${name}.url`, "must be set") : { name, ...resource };
    }),
  };
}

/** Reads what `connectServiceWorker()` was given. */
export const readConnection = (given = {}) => read(given, "options", "", { window: "window", name: "string" });

/** Reads what `authorizeRequests()` was given. */
export const readWorker = (given) => read(given, "options", "", { name: "string", resources, waitSeconds, dangerouslyAllowHttp });

/** Reads what `ticket()` was given. */
export function readTicket(given, options = {}) {
  const url = parseUrl(given, "url", document?.baseURI);
  const { method = "GET", signal } = read(options, "options", "", { method: "string", signal: "any" });
  return { url, method, signal };
}

/** Reads what `setTokens()` was given beside the tokens. */
export function readTokens(given = {}, { borrows, dpop }) {
  const options = read(given, "options", "", { requestedAt: "time", dpopKey: "key" });
  if (options.dpopKey && !dpop && !borrows) fail("dpopKey", "must not be set without dpop");
  return options;
}

/** Reads what `signIn()` was given, as Core takes it. */
export function readSignIn(given, page) {
  const { mode = "redirect", returnTo, extraParams = {}, ...asked } = read(given, "options", "", SIGN_IN);
  if (!/^(redirect|popup)$/.test(mode)) fail("mode", "must be redirect or popup");
  return { ...asked, mode, page, returnTo: returnTo === undefined ? page : parseUrl(returnTo, "returnTo", page), extraParams: Object.entries(extraParams).flat().map(String) };
}

/** Reads what `install()` was given. */
export const readInstall = (given = {}) => read(given, "options", "", { window: "window", xhr: "boolean" });

function read(given, name, path, types) {
  if (typeof given !== "object" || given === null) fail(name, "must be an object");
  const copy = {};
  for (const key of Object.keys(given)) {
    const type = Object.hasOwn(types, key) ? types[key] : fail(path + key, "is not a known option");
    const value = given[key];
    if (value === undefined) continue;
    if (type === "url") copy[key] = parseUrl(value, path + key);
    else if (type === "path") copy[key] = parseUrl(value, path + key, location?.href);
    else copy[key] = checked(value, path + key, type);
  }
  return copy;
}

function checked(value, key, type) {
  const [is, rule] = TYPES[type];
  return is(value) ? value : fail(key, rule);
}

function parseUrl(value, key, base) {
  try {
    if (typeof value === "string" || value instanceof URL) return hrefOf(new URL(value, base));
  } catch {
    // Told below.
  }
  return fail(key, "must be an absolute https: URL");
}
