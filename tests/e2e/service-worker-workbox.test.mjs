// An app's own service worker, made with Workbox: it keeps what is its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { connected, picture, tokens } from "./harness/workers.mjs";

/** As an app would write it, but for where the API is. */
const WORKER = `
  import { authorizeRequests } from "/tokenward/service-worker.js";
  import { precacheAndRoute } from "workbox-precaching";
  import { registerRoute } from "workbox-routing";
  import { CacheFirst, NetworkOnly } from "workbox-strategies";

  authorizeRequests({ resources: [{ url: new URL(location).searchParams.get("api") + "/v1" }] });

  precacheAndRoute([{ url: "/callback.html", revision: "1" }]);
  registerRoute(({ url }) => url.pathname === "/kept.json", new CacheFirst({ cacheName: "kept" }));
  // Would take the API's requests as well, were they not taken.
  registerRoute(({ url }) => url.pathname.startsWith("/v1"), new NetworkOnly());
`;

async function bundled() {
  const { outputFiles } = await build({
    stdin: { contents: WORKER, resolveDir: new URL(".", import.meta.url).pathname },
    external: ["/tokenward/*"],
    bundle: true,
    format: "esm",
    write: false,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles[0].text;
}

test("an app's worker with Workbox authorises the API, and caches what it did before", async (t) => {
  const script = await bundled();
  let fetched = 0;
  const handlers = [
    (request, response) => {
      if (request.url.startsWith("/workbox.js")) response.writeHead(200, { "content-type": "text/javascript" }).end(script);
      else if (request.url === "/kept.json") response.writeHead(200, { "content-type": "application/json" }).end(String((fetched += 1)));
      else return false;
      return true;
    },
  ];
  const staged = await connected(t, { handlers, worker: "/workbox.js" });
  assert.equal(await picture(staged), "load");
  assert.deepEqual(tokens(staged), [true]);
  const kept = await staged.page.run(async ({ nativeFetch }) => {
    const ask = async () => (await nativeFetch("/kept.json")).json();
    const answers = [await ask()];
    // The answer comes before it is in the cache.
    while (!(await caches.match("/kept.json"))) await new Promise((resolve) => setTimeout(resolve, 5));
    answers.push(await ask());
    // Cached is what the app cached, and nothing of the API's.
    const urls = [];
    for (const name of await caches.keys()) for (const { url } of await (await caches.open(name)).keys()) urls.push(new URL(url).pathname);
    for (const name of await caches.keys()) await caches.delete(name);
    return { answers, urls: urls.sort() };
  });
  assert.deepEqual(kept, { answers: [1, 1], urls: ["/callback.html", "/kept.json"] });
  assert.equal(fetched, 1);
});
