// Compiled, never run: a service worker, in a project whose library is a worker's.
import { authorizeRequests } from "tokenward/service-worker";
import type { ServiceWorkerOptions } from "tokenward/service-worker";

const options: ServiceWorkerOptions = { resources: [{ url: new URL("https://api.example.com/v1"), methods: ["GET"] }] };
authorizeRequests(options);
authorizeRequests({ name: "maps", resources: [{ url: "https://maps.example.net/" }], waitSeconds: 5 });
// @ts-expect-error what a worker lets through has to be listed
authorizeRequests({});
// @ts-expect-error no such option
authorizeRequests({ resources: [], clientId: "spa" });
