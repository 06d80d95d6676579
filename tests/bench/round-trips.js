// What a service worker costs: round trips to the server, each way from a frame of its own.
import { BEARER, TOKEN } from "./network.js";

const WAYS = [
  { name: "worker.native" },
  { name: "worker.passThrough", script: "pass-through.js" },
  { name: "worker.tokenward", script: "tokenward.js", isWard: true },
];

/** Resolves when the worker has taken the frames of its folder. */
async function activated(folder, script) {
  const registration = await navigator.serviceWorker.register(`${folder}${script}`, { type: "module" });
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (worker.state === "activated") return;
  await new Promise((resolve, reject) =>
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error(`the service worker ${script} does not start`));
    }),
  );
}

async function openFrame(folder) {
  const frame = document.createElement("iframe");
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve));
  frame.src = folder;
  document.body.append(frame);
  await loaded;
  return frame.contentWindow;
}

/** Nothing of the page is patched: the token comes from the worker, or is written by hand. */
export async function roundTripCases() {
  const cases = [];
  for (const { name, script, isWard } of WAYS) {
    const folder = `/frames/${name}/`;
    if (script) await activated(folder, script);
    const frame = await openFrame(folder);
    const { controller } = frame.navigator.serviceWorker;
    if (Boolean(controller) !== Boolean(script)) throw new Error(`${name}: the wrong worker, or none, is in control`);
    if (isWard) await frame.connect(`${location.origin}/orders`, TOKEN);
    const init = isWard ? undefined : { headers: { authorization: BEARER } };
    // The server counts by name.
    cases.push({ name, call: async (at) => (await frame.fetch(`/orders/${name}?page=${at}`, init)).text() });
  }
  return cases;
}
