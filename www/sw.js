// The demo's service worker. The API stands in its address, since its port may be another one at each start.
import { authorizeRequests } from "/tokenward/service-worker.js";

authorizeRequests({ resources: [{ url: `${new URL(location.href).searchParams.get("api")}/v1` }] });
// Who builds the package anew need not close every tab of the demo.
addEventListener("install", () => skipWaiting());
