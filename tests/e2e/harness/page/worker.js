// The service worker of the tests. Its API stands in its address; what else does makes it another one.
import "./worker-tools.js";
import { authorizeRequests } from "/tokenward/service-worker.js";

const { searchParams } = new URL(location.href);

if (searchParams.has("hurries")) addEventListener("install", () => skipWaiting());
if (searchParams.has("hurries")) addEventListener("activate", (event) => event.waitUntil(clients.claim()));

if (!searchParams.has("foreign")) {
  authorizeRequests({
    resources: [{ url: `${searchParams.get("api")}/v1` }, { url: `${location.origin}/own/v1` }],
    waitSeconds: Number(searchParams.get("waitSeconds") ?? 30),
  });
  authorizeRequests({ name: "second", resources: [{ url: `${searchParams.get("api")}/second/` }] });
}
