import { authorizeRequests } from "/tokenward/service-worker.js";

authorizeRequests({ resources: [{ url: `${location.origin}/orders` }] });
