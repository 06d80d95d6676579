// What an API has besides JSON, for elements of a page: each kind once, as small as it can be.

const MEDIA = {
  "/v1/picture.svg": [
    "image/svg+xml",
    '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" rx="6" fill="#2a7"/><text x="60" y="26" fill="#fff" text-anchor="middle" font-family="sans-serif">with token</text></svg>',
  ],
  "/v1/script.js": ["text/javascript; charset=utf-8", "globalThis.fromTheApi = true;"],
  "/v1/style.css": ["text/css; charset=utf-8", ":root { --from-the-api: yes; }"],
  "/v1/sound.wav": ["audio/wav", silence(800)],
};

/** One event, and the stream ends: the browser connects again. */
const EVENTS = "retry: 50\nid: 7\ndata: tea\n\n";

/** A sound without a sound: 8 bits, 8 kHz, one channel. */
function silence(samples) {
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples, 40);
  return Buffer.concat([header, Buffer.alloc(samples, 128)]);
}

/** The content at a path: its type and bytes, and the part of them that was asked for; `undefined` if there is none. */
export function mediaAt(pathname, range) {
  if (pathname === "/v1/events") return { status: 200, type: "text/event-stream", bytes: Buffer.from(EVENTS) };
  const [type, content] = Object.hasOwn(MEDIA, pathname) ? MEDIA[pathname] : [];
  if (!type) return undefined;
  const bytes = Buffer.from(content);
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return { status: 200, type, bytes };
  const end = Math.min(last ? Number(last) : bytes.length - 1, bytes.length - 1);
  const headers = { "content-range": `bytes ${first}-${end}/${bytes.length}`, "accept-ranges": "bytes" };
  return { status: 206, type, bytes: bytes.subarray(Number(first), end + 1), headers };
}
