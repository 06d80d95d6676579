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
  /** Resolves when the worker is active. */
  kit.register = async (more = {}) => {
    kit.policy ??= window.trustedTypes?.createPolicy("test", { createScriptURL: (url) => url });
    const url = `/worker.js?${new URLSearchParams({ api: kit.api.origin, ...more })}`;
    const trusted = kit.policy?.createScriptURL(url) ?? url;
    kit.registration = await navigator.serviceWorker.register(trusted, { type: "module" });
    await navigator.serviceWorker.ready;
  };
  kit.connect = async () => {
    if (!kit.registration) await kit.register();
    await kit.ward.connectServiceWorker();
  };
  /** Adds an element and resolves with the event that says how it went. */
  kit.element = (name, properties, events = ["load", "error"]) =>
    new Promise((resolve) => {
      const element = Object.assign(document.createElement(name), properties);
      for (const type of events) element.addEventListener(type, () => resolve(type));
      document.documentElement.append(element);
    });
};
