// What a test may do in its service worker; in place before the library is loaded.

// Clocks that can be moved.
let offset = 0;
const { now } = Date;
const mono = performance.now.bind(performance);
Date.now = () => now() + offset;
performance.now = () => mono() + offset;

// The library's wasm memory, which it makes itself.
const memories = [];
WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
  construct(...args) {
    const memory = Reflect.construct(...args);
    memories.push(memory);
    return memory;
  },
});

/** How many of these texts are in memory. */
function find(texts) {
  const memory = memories.map(({ buffer }) => new TextDecoder("latin1").decode(buffer)).join("\0");
  return texts.filter((text) => memory.includes(text)).length;
}

// Which run of the script this is.
const born = Math.random();

addEventListener("message", ({ data, source }) => {
  if (data === "born") source.postMessage({ born });
  if (data?.find) source.postMessage({ found: find(data.find) });
  if (!data?.laterMs) return;
  offset += data.laterMs;
  source.postMessage({ moved: true });
});
