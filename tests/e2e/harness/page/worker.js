// The service worker of the tests. Its API stands in its address; what else does makes it another one.
import { authorizeRequests } from "/tokenward/service-worker.js";

const { searchParams } = new URL(location.href);

// Which run of this script it is.
const born = Math.random();
addEventListener("message", ({ data, source }) => {
  if (data === "born") source.postMessage({ born });
});

authorizeRequests({ resources: [{ url: `${searchParams.get("api")}/v1` }, { url: `${location.origin}/own/v1` }] });
