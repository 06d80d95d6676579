// The least that a service worker can do.
self.addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));
