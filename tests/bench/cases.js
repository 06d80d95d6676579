// The cases whose network is stubbed: native and tokenward.
import { BEARER, BODY, JSON_TYPE, TOKEN, stub, stubXhr } from "./network.js";

const LONG_LIST = 10_000;

const LISTED = "https://api.example.test/v1";
// Each call appends a number: a browser remembers what it made of a string that it has seen before.
const MATCHING = `${LISTED}/orders?page=`;
const ORDERS = `${LISTED}/orders/`;
const OTHER_ORIGIN = "https://cdn.example.test/v1/orders?page=";
const OTHER_PATH = "https://api.example.test/v2/orders?page=";

const post = () => ({ method: "POST", headers: { "content-type": JSON_TYPE }, body: BODY });

/** How an app calls an authorised `fetch`, whoever it is from. What it makes for the call is part of what is measured. */
const FORMS = {
  plain: (fetch) => (at) => fetch(MATCHING + at),
  request: (fetch) => (at) => fetch(new Request(MATCHING + at)),
  post: (fetch) => (at) => fetch(MATCHING + at, post()),
};

const NATIVE = {
  plain: (at) => stub(MATCHING + at, { headers: { authorization: BEARER } }),
  request: (at) => stub(new Request(MATCHING + at, { headers: { authorization: BEARER } })),
  post: (at) => stub(MATCHING + at, { ...post(), headers: { "content-type": JSON_TYPE, authorization: BEARER } }),
};

const matching = (form, library, call, url = MATCHING) => ({
  name: `${form}.${library}`,
  call,
  wanted: { url, bearer: BEARER, body: form === "post" ? BODY : undefined },
});

/** No path is called twice. */
function newPaths(fetch) {
  let orders = 0;
  return () => fetch(ORDERS + (orders += 1));
}

/** One case for each form of this `fetch`. */
export const forms = (library, fetch) =>
  Object.entries(FORMS).map(([form, make]) => matching(form, library, make(fetch)));

/** One and the same function is behind all sides, so it has to be there when the package captures the built-ins. */
export async function load() {
  const wasm = await WebAssembly.compileStreaming(fetch("/tokenward/core.wasm"));
  globalThis.fetch = stub;
  stubXhr();
  const { TokenWard } = await import("/tokenward/index.js");
  return { TokenWard, wasm };
}

/** Half of the list are other origins, half are other paths of the origin that is called. */
function longList() {
  const others = Array.from({ length: LONG_LIST - 1 }, (_, at) =>
    at % 2 === 0 ? `https://api${at}.example.test/v1` : `https://api.example.test/service-${at}`,
  );
  return [LISTED, ...others];
}

async function signedIn({ TokenWard, wasm }, urls) {
  const ward = await TokenWard.create({ wasm, resources: urls.map((url) => ({ url })) });
  ward.setTokens({ access_token: TOKEN, expires_in: 86_400 });
  return ward;
}

/** The `fetch` that a ward with this allow-list puts in place of the stub. */
async function patched(library, urls) {
  const ward = await signedIn(library, urls);
  ward.install();
  const { fetch } = globalThis;
  globalThis.fetch = stub;
  return fetch;
}

/** Its methods as they are now, to be called whatever is put in their place later. */
function currentXhr(authorization) {
  const { XMLHttpRequest } = globalThis;
  const { open, setRequestHeader, send } = XMLHttpRequest.prototype;
  return (at) => {
    const xhr = new XMLHttpRequest();
    Reflect.apply(open, xhr, ["GET", MATCHING + at]);
    if (authorization) Reflect.apply(setRequestHeader, xhr, ["authorization", authorization]);
    Reflect.apply(send, xhr, []);
  };
}

async function xhrCases(library, notes) {
  const native = matching("xhr", "native", currentXhr(BEARER));
  const ward = await signedIn(library, [LISTED]);
  try {
    ward.install({ xhr: true });
  } catch (error) {
    if (error.code !== "invalid_option") throw error;
    notes.push("XMLHttpRequest is left out: install() does not know the option xhr");
    return [];
  }
  globalThis.fetch = stub;
  return [native, matching("xhr", "tokenward", currentXhr())];
}

export async function ownCases(library, notes) {
  const short = await patched(library, [LISTED]);
  const long = await patched(library, longList());
  const other = (name, url, call) => ({ name: `other.${name}`, call, wanted: { url, bearer: null } });
  return [
    ...Object.entries(NATIVE).map(([form, call]) => matching(form, "native", call)),
    ...forms("tokenward", short),
    matching("plain", "tokenwardPaths", newPaths(short), ORDERS),
    matching("plain", "tokenwardLong", FORMS.plain(long)),
    other("native", OTHER_ORIGIN, (at) => stub(OTHER_ORIGIN + at)),
    other("origin", OTHER_ORIGIN, (at) => short(OTHER_ORIGIN + at)),
    other("originLong", OTHER_ORIGIN, (at) => long(OTHER_ORIGIN + at)),
    other("path", OTHER_PATH, (at) => short(OTHER_PATH + at)),
    other("pathLong", OTHER_PATH, (at) => long(OTHER_PATH + at)),
    ...(await xhrCases(library, notes)),
  ];
}
