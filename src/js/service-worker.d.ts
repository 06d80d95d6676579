/** Where tokens may be sent: as `ResourceOptions` of `tokenward`, which is for pages. */
export interface WorkerResourceOptions {
  /** Absolute `https:` URL: exact origin plus whole path segments. */
  url: string | URL;
  /** HTTP methods that carry a token. Default: all. */
  methods?: readonly string[];
}

export interface ServiceWorkerOptions {
  /** For pages with several wards: each connects to the one of its name. Default: none. */
  name?: string;
  /** What may carry a token: the list of the ward's `resources`, or a part of it. Required. */
  resources: readonly WorkerResourceOptions[];
  /** How long a request waits for a token, in seconds, 1 to 600. Default 30. */
  waitSeconds?: number;
  /** Allow `http:` resources on hosts that are not loopback. Tokens travel in the clear. Default `false`. */
  dangerouslyAllowHttp?: boolean;
}

/**
 * Authorises what the pages of this service worker ask for: images, scripts, style sheets, `EventSource`, and every `fetch`
 * and `XMLHttpRequest` that has no `Authorization` header of its own. To be called while the worker's script runs for the
 * first time, before other listeners for `fetch`. The pages connect by `ward.connectServiceWorker()`.
 *
 * Security: tokens are in this worker's memory only, those of each page for its own requests. Navigations never carry one,
 * and neither does what a script asks for in `no-cors` mode.
 * @throws {TypeError} `invalid_option`: names the key
 */
export function authorizeRequests(options: ServiceWorkerOptions): void;
