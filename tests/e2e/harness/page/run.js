// The page's side of `page.run()`: runs a test's function in this realm, as a module, as an app would be.
const problems = [];
for (const type of ["error", "unhandledrejection"]) {
  addEventListener(type, ({ message, reason }) => problems.push(String(message ?? reason)));
}

const EVENTS = ["signedin", "refreshed", "refreshdelayed", "refreshfailed", "signedout", "stepup", "insufficientscope"];

/** What a test's function gets first. It lasts as long as the page, so that one run can leave something to the next. */
const kit = {
  nativeFetch: fetch,

  /** The events of every ward made by `create`. */
  events: [],

  /** Loaded when asked for, so that a test can put something in the place of a built-in before. */
  library: () => import("/tokenward/index.js"),

  options: (more) => ({
    clientId: "spa",
    endpoints: { token: kit.auth.endpoints.token, revocation: kit.auth.endpoints.revocation },
    resources: [{ url: `${kit.api.origin}/v1` }],
    ...(kit.isolation && { isolation: kit.isolation }),
    ...more,
  }),

  /** Options of a ward that signs in by itself and asks the server for its metadata. */
  discovered: (more) => ({
    issuer: kit.auth.issuer,
    endpoints: undefined,
    redirectUri: `${location.origin}/`,
    relayUri: `${location.origin}/callback.html`,
    postLogoutRedirectUri: `${location.origin}/`,
    scope: "openid profile orders",
    ...more,
  }),

  /** Options of a ward whose tokens are with the app's backend. */
  mediated: (more) => ({
    clientId: undefined,
    endpoints: undefined,
    restore: ["session"],
    session: { url: "/session/token", signOutUrl: "/session/sign-out" },
    ...more,
  }),

  async create(options) {
    const { TokenWard } = await kit.library();
    kit.ward = await TokenWard.create(kit.options(options));
    for (const type of EVENTS) {
      kit.ward.addEventListener(type, ({ detail }) => kit.events.push({ type, ...detail }));
    }
    return kit.ward;
  },

  eventTypes: () => kit.events.map(({ type }) => type),

  /** Resolves with the detail of the first event of this type, be it long ago. */
  async first(type) {
    for (;;) {
      const found = kit.events.find((event) => event.type === type);
      if (found) return found;
      await new Promise((resolve) => kit.ward.addEventListener(type, resolve, { once: true }));
    }
  },

  /** What the page is told; the network itself stays. */
  setOnline(online) {
    Object.defineProperty(navigator, "onLine", { configurable: true, get: () => online });
    dispatchEvent(new Event(online ? "online" : "offline"));
  },

  /** Ends a back-off: whoever comes back online tries again at once. */
  hurry() {
    kit.setOnline(false);
    kit.setOnline(true);
  },

  /** Resolves once `predicate(snapshot)` holds, which is looked at after every event of the ward and of the window. */
  async until(predicate) {
    while (!predicate(kit.ward.snapshot())) {
      await new Promise((resolve) => {
        for (const type of EVENTS) kit.ward.addEventListener(type, resolve, { once: true });
        for (const type of ["online", "offline"]) addEventListener(type, resolve, { once: true });
      });
    }
  },

  /** A bare fetch of the API. */
  call: (path = "/v1/orders", init) => kit.outcome(fetch(kit.api.origin + path, init)),

  /** How a promise ended, in a form that can leave the page; `null` for a member that an error has not. */
  async ended(promise) {
    try {
      return { value: await promise };
    } catch ({ name, message, code, error = null, claim = null, status = null, retryable = null }) {
      return { failed: { name, code, error, claim, status, retryable }, message };
    }
  },

  /** What is in storage, but for the time of a sign-out. */
  stored: () => [...Object.keys(sessionStorage), ...Object.keys(localStorage)].filter((key) => !key.startsWith("tokenward.signout ")),

  /** What anybody could see of a sign-in. */
  look: () => ({
    signedIn: kit.ward.signedIn,
    user: kit.ward.user,
    stored: kit.stored(),
    url: location.href,
    types: kit.eventTypes(),
  }),

  /** How a request ended, in a form that can leave the page. */
  async outcome(promise) {
    try {
      const response = await promise;
      return { status: response.status, body: await response.json().catch(() => null) };
    } catch (error) {
      return { name: error.name, code: error.code, retryable: error.retryable };
    }
  },
};

async function load(url, servers) {
  Object.assign(kit, servers);
  const { default: script } = await import(url);
  return script;
}

/** @returns {Promise<string>} JSON, since some drivers lose what it can hold */
async function toJson(act) {
  try {
    return JSON.stringify({ value: await act() });
  } catch (error) {
    return JSON.stringify({ error: `${error}\n${error?.stack}` });
  }
}

window.run = (url, servers, args) => toJson(async () => (await load(url, servers))(kit, ...args));

/**
 * The same once the user has clicked on a button, which is put on the page. Leaves a promise for that. Nothing comes
 * between the click and the script, since an engine may forget the click over it.
 */
window.arm = async (url, servers, args) => {
  const script = await load(url, servers);
  const button = document.createElement("button");
  button.id = "go";
  button.textContent = "Go";
  window.clicked = new Promise((resolve) => {
    button.addEventListener("click", () => {
      button.remove();
      resolve(toJson(() => script(kit, ...args)));
    });
  });
  document.documentElement.append(button);
};
window.problems = problems;
