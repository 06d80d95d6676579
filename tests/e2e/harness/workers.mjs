// A stage whose page has a service worker.
import { randomUUID } from "node:crypto";
import { browserDriver, latch, stage } from "./stage.mjs";

/** As {@link stage}; no worker outlives the test. `kit` has `register()`, `connect()` and `element()`. */
export async function workerStage(t, { worker = "/worker.js", ...options } = {}) {
  const staged = await stage(t, options);
  const { page } = staged;
  t.after(() =>
    browserDriver().executeAsyncScript(
      `const done = arguments[0];
       navigator.serviceWorker.getRegistrations()
         .then((all) => Promise.all(all.map((one) => one.unregister())))
         .then(() => done(), () => done());`,
    ),
  );
  await page.run(setUp, worker);
  return staged;
}

const PICTURE = "/v1/picture.svg";
/** Each time another one: pages keep those they have. */
const pictureOf = ({ api }) => `${api.origin}${PICTURE}?${randomUUID()}`;

/** Asks for one as an element does, and gives the event that says how it went. */
export const picture = (staged) => staged.page.run((kit, url) => kit.ways.img(url), pictureOf(staged));

/** Asks, and how it was {@link asked}. */
export const ask = (staged) => staged.page.run((kit, url) => void (kit.picture = kit.ways.img(url)), pictureOf(staged));
export const asked = ({ page }) => page.run((kit) => kit.picture);

/** Asks while the worker's token has expired and its renewal hangs until what this gives is called. */
export async function askExpired(staged) {
  const { held, release } = latch();
  staged.auth.faults.token = [{ hold: held }];
  await staged.page.run((kit) => kit.expire());
  await ask(staged);
  await staged.auth.tokenRequests.until(({ length }) => length > 0);
  return release;
}

/** Which requests had a token. */
export const tokens = ({ api }) => api.requests.map(({ tokenReceived }) => tokenReceived);

/** A page that is signed in and connected. */
export async function connected(t, { signIn, ...options } = {}) {
  const staged = await workerStage(t, options);
  await staged.page.signIn(signIn);
  await staged.page.run((kit) => kit.connect());
  return staged;
}

/** What a frame of the page's origin gets for a fetch of its own, after `connects` with a ward that lends to it. */
export const inFrame = ({ page, api }, { connects = false, src = "/callback.html" } = {}) =>
  page.run(
    async (kit, url, connects, src) => {
      const frame = document.createElement("iframe");
      frame.src = src;
      const loaded = new Promise((resolve) => (frame.onload = resolve));
      document.documentElement.append(frame);
      await loaded;
      if (connects) await kit.ward.connectServiceWorker({ window: frame.contentWindow });
      const { status } = await frame.contentWindow.fetch(url);
      frame.remove();
      return status;
    },
    `${api.origin}/v1/echo`,
    connects,
    src,
  );

/** The same of a worker of the page's. */
export const inWorker = ({ page, api }) => page.run((kit, url) => kit.ways.worker(url), `${api.origin}/v1/echo`);

/** To be run again in a page that was loaded anew. */
export const setUp = (kit, script = "/worker.js") => {
  const policy = window.trustedTypes?.createPolicy("test", { createScriptURL: (url) => url });
  const trusted = (url) => policy?.createScriptURL(url) ?? url;

  /** Resolves when the worker is active. */
  kit.register = async ({ scope, ...more } = {}) => {
    const url = `${script}?${new URLSearchParams({ api: kit.api.origin, ...more })}`;
    kit.registration = await navigator.serviceWorker.register(trusted(url), { type: "module", scope });
    await navigator.serviceWorker.ready;
  };

  kit.connect = async () => {
    kit.registration ??= (await navigator.serviceWorker.getRegistration()) ?? (await kit.register());
    await kit.ward.connectServiceWorker();
  };

  /** Tells the worker something and resolves with its answer. */
  const ask = (message, answer) =>
    new Promise((resolve) => {
      const listen = ({ data }) => {
        if (!(answer in data)) return;
        navigator.serviceWorker.removeEventListener("message", listen);
        resolve(data[answer]);
      };
      navigator.serviceWorker.addEventListener("message", listen);
      navigator.serviceWorker.startMessages();
      navigator.serviceWorker.controller.postMessage(message);
    });

  /** Which run of the worker's script answers. */
  kit.born = () => ask("born", "born");

  /** How many of these texts are in the worker's wasm memory. */
  kit.find = (texts) => ask({ find: texts }, "found");

  /** The worker's token has expired. */
  kit.expire = () => ask({ laterMs: 3_600_000 }, "moved");

  /** Adds an element and resolves with the name of the event that says how it went. */
  const element = (name, properties, events = ["load", "error"]) =>
    new Promise((resolve) => {
      const element = Object.assign(document.createElement(name), properties);
      for (const type of events) element.addEventListener(type, () => resolve(type));
      document.documentElement.append(element);
    });
  const { nativeFetch } = kit;
  const status = (answer) => answer.then(({ status }) => status, ({ name }) => name);
  const media = ["loadeddata", "error"];

  /** Every way to ask for something, by name. Each resolves with how it went. */
  kit.ways = {
    img: (url) => element("img", { src: url }),
    "img with crossorigin": (url) => element("img", { crossOrigin: "anonymous", src: url }),
    "input image": (url) => element("input", { type: "image", src: url }),
    script: (url) => element("script", { src: trusted(url) }),
    "module script": (url) => element("script", { type: "module", src: trusted(url) }),
    stylesheet: (url) => element("link", { rel: "stylesheet", href: url }),
    preload: (url) => element("link", { rel: "preload", as: "image", href: url }),
    audio: (url) => element("audio", { preload: "auto", src: url }, media),
    "audio with crossorigin": (url) => element("audio", { crossOrigin: "anonymous", preload: "auto", src: url }, media),
    video: (url) => element("video", { preload: "auto", src: url }, media),
    EventSource: (url) =>
      new Promise((resolve) => {
        const source = new EventSource(url);
        for (const type of ["message", "error"]) {
          source.addEventListener(type, () => {
            source.close();
            resolve(type);
          });
        }
      }),
    fetch: (url) => status(nativeFetch(url)),
    "fetch of a POST": (url) => status(nativeFetch(url, { method: "POST", body: "tea" })),
    XMLHttpRequest: (url) =>
      new Promise((resolve) => {
        const request = new XMLHttpRequest();
        request.open("GET", url);
        request.onloadend = () => resolve(request.status);
        request.send();
      }),
    worker: (url) =>
      new Promise((resolve) => {
        const worker = new Worker(trusted("/subworker.js"));
        worker.onmessage = ({ data }) => {
          worker.terminate();
          resolve(data);
        };
        worker.postMessage(url);
      }),
  };
};
