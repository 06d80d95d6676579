// A clock that a test can move, in place before the library is loaded.
let offset = 0;
const { now } = Date;
const mono = performance.now.bind(performance);
Date.now = () => now() + offset;
performance.now = () => mono() + offset;

addEventListener("message", ({ data, source }) => {
  if (!data?.laterMs) return;
  offset += data.laterMs;
  source.postMessage({ moved: true });
});
