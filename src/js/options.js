import { Array, Object, TypeError, URL } from "./natives.js";

const TYPES = {
  string: [(value) => typeof value === "string" && value !== "", "must be a string that is not empty"],
  number: [(value) => typeof value === "number", "must be a number"],
  boolean: [(value) => typeof value === "boolean", "must be true or false"],
  function: [(value) => typeof value === "function", "must be a function"],
  array: [Array.isArray, "must be an array"],
  source: [(value) => /string|object/.test(typeof value), "must be a URL, bytes or a module"],
  any: [() => true],
};

const OPTIONS = {
  clientId: "string",
  endpoints: "any",
  resources: "array",
  refresh: "function",
  waitSeconds: "number",
  requestTimeoutSeconds: "number",
  maxOutageSeconds: "number",
  dangerouslyAllowHttp: "boolean",
  wasm: "source",
};

/** What is wrong with an argument: `code` is one of `index.d.ts`. */
export const invalid = (code, message) => Object.assign(new TypeError(message), { code });

const fail = (key, rule) => {
  throw invalid("invalid_option", `${key} ${rule}`);
};

/** Reads the options, each key once, checks their types and parses their URLs. The rules for them are Core's. */
export function readOptions(given) {
  const options = read(given, "options", "", OPTIONS);
  if (!options.resources) fail("resources", TYPES.array[1]);
  const endpoints = options.endpoints === undefined ? {} : options.endpoints;
  return {
    ...options,
    endpoints: read(endpoints, "endpoints", "endpoints.", { token: "url", revocation: "url" }),
    resources: Array.from(options.resources, (entry, at) => {
      const name = `resources[${at}]`;
      const resource = read(entry, name, `${name}.`, { url: "url", methods: "array" });
      return resource.url === undefined ? fail(`${name}.url`, "must be set") : { name, ...resource };
    }),
  };
}

function read(given, name, path, types) {
  if (typeof given !== "object" || given === null) fail(name, "must be an object");
  const copy = {};
  for (const key of Object.keys(given)) {
    const type = Object.hasOwn(types, key) ? types[key] : fail(path + key, "is not a known option");
    const value = given[key];
    if (value !== undefined) copy[key] = type === "url" ? parseUrl(value, path + key) : checked(value, path + key, type);
  }
  return copy;
}

function checked(value, key, type) {
  const [is, rule] = TYPES[type];
  return is(value) ? value : fail(key, rule);
}

function parseUrl(value, key) {
  try {
    if (typeof value === "string") return new URL(value).href;
  } catch {
    // Told below.
  }
  return fail(key, "must be an absolute https: URL");
}
