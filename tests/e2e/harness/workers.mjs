// A stage whose page has a service worker.
import { browserDriver, stage } from "./stage.mjs";

/** As {@link stage}; no worker outlives the test. `kit` has `register()`, `connect()` and `element()`. */
export async function workerStage(t, options) {
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
  await page.run(setUp);
  return staged;
}

/** To be run again in a page that was loaded anew. */
export const setUp = (kit) => {
  const policy = window.trustedTypes?.createPolicy("test", { createScriptURL: (url) => url });
  const trusted = (url) => policy?.createScriptURL(url) ?? url;

  /** Resolves when the worker is active. */
  kit.register = async (more = {}) => {
    const url = `/worker.js?${new URLSearchParams({ api: kit.api.origin, ...more })}`;
    kit.registration = await navigator.serviceWorker.register(trusted(url), { type: "module" });
    await navigator.serviceWorker.ready;
  };

  kit.connect = async () => {
    kit.registration ??= (await navigator.serviceWorker.getRegistration()) ?? (await kit.register());
    await kit.ward.connectServiceWorker();
  };

  /** Which run of the worker's script answers. */
  kit.born = () =>
    new Promise((resolve) => {
      const listen = ({ data }) => {
        if (!data.born) return;
        navigator.serviceWorker.removeEventListener("message", listen);
        resolve(data.born);
      };
      navigator.serviceWorker.addEventListener("message", listen);
      navigator.serviceWorker.startMessages();
      navigator.serviceWorker.controller.postMessage("born");
    });

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
