// What the tests with other people's libraries stand on: the libraries in bundles, and what they ask an API for.
import { createCipheriv, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { stage } from "./stage.mjs";

const CLIENTS = fileURLToPath(new URL("libraries/", import.meta.url));

let bundles;

before(async () => {
  bundles = await mkdtemp(join(tmpdir(), "tokenward-libraries-"));
  const entryPoints = (await readdir(CLIENTS)).map((name) => join(CLIENTS, name));
  await build({ entryPoints, outdir: bundles, bundle: true, format: "esm", logLevel: "warning" });
});

after(() => rm(bundles, { recursive: true }));

/**
 * A stage where the page has `/libraries/NAME.js`, and the API has routes for them: `streams` are those of `/v1/live`,
 * and what is in `busy` is how `/v1/busy` answers next.
 */
export async function stageLibraries(t, options) {
  const streams = [];
  const busy = [];
  const more = {
    "GET /v1/live": live(streams),
    "GET /v1/busy": () => ({ status: busy.shift() ?? 200 }),
  };
  const staged = await stage(t, { api: { routes: { ...routes, ...more } }, mounts: { "/libraries/": bundles }, ...options });
  return { ...staged, streams, busy };
}

const EVENT_STREAM = { "content-type": "text/event-stream", "cache-control": "no-store" };
const event = (id, data) => `id: ${id}\ndata: ${data}\n\n`;
const events = () => ({ status: 200, headers: EVENT_STREAM, content: event(1, "Teapot") + event(2, "Cups") });

/** Stays open until the test ends it. */
const live = (streams) => () => {
  const content = new PassThrough();
  streams.push(content);
  content.write(event(streams.length, "Teapot"));
  return { status: 200, headers: EVENT_STREAM, content };
};

function graphql({ method, body }, url) {
  const query = method === "GET" ? url.searchParams.get("query") : JSON.parse(body).query;
  return { status: 200, data: query.startsWith("mutation") ? { order: { item: "Teapot" } } : { orders: [{ item: "Teapot" }] } };
}

const KEY = randomBytes(16);
const IV = Buffer.alloc(16);

/** About four seconds of silence in AAC, 1024 samples a frame, encrypted as the playlist says. */
function segment() {
  const silence = [0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
  // An ADTS header: AAC-LC, 44.1 kHz, one channel.
  const length = 7 + silence.length;
  const frame = Buffer.from([0xff, 0xf1, 0x50, 0x40, length >> 3, ((length & 7) << 5) | 0x1f, 0xfc, ...silence]);
  const cipher = createCipheriv("aes-128-cbc", KEY, IV);
  return Buffer.concat([cipher.update(Buffer.concat(Array(172).fill(frame))), cipher.final()]);
}

const playlist = (...lines) => () => ({
  status: 200,
  headers: { "content-type": "application/vnd.apple.mpegurl" },
  content: ["#EXTM3U", ...lines, ""].join("\n"),
});

const bytes = (content) => () => ({
  status: 200,
  headers: { "content-type": "application/octet-stream", "content-length": content.length },
  content,
});

const routes = {
  "GET /v1/events": events,
  "POST /v1/events": events,
  "GET /v1/graphql": graphql,
  "POST /v1/graphql": graphql,
  "GET /v1/download": bytes(Buffer.alloc(2 ** 20, "tea ")),
  "GET /v1/hls/main.m3u8": playlist("#EXT-X-STREAM-INF:BANDWIDTH=100000", "level.m3u8"),
  "GET /v1/hls/level.m3u8": playlist(
    "#EXT-X-TARGETDURATION:4",
    `#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x${IV.toString("hex")}`,
    "#EXTINF:4,",
    "1.aac",
    "#EXTINF:4,",
    "2.aac",
    "#EXT-X-ENDLIST",
  ),
  "GET /v1/hls/key": bytes(KEY),
  "GET /v1/hls/1.aac": bytes(segment()),
  "GET /v1/hls/2.aac": bytes(segment()),
};
