import Hls from "hls.js";

export const supported = () => Hls.isSupported();

/** What is loaded before there is a video to play it in: both playlists, the key and the first segment. */
export function connect(origin, options) {
  function load() {
    const hls = new Hls({ startFragPrefetch: true, ...options });
    const data = [];
    const ended = new Promise((resolve) => {
      const { ERROR, FRAG_LOADED, KEY_LOADED, LEVEL_LOADED, MANIFEST_LOADED } = Hls.Events;
      for (const type of [MANIFEST_LOADED, LEVEL_LOADED, KEY_LOADED, FRAG_LOADED]) hls.on(type, () => void data.push(type));
      hls.on(FRAG_LOADED, () => resolve({ data }));
      hls.on(ERROR, (_, { details, response }) => resolve({ error: { name: details, status: response?.code }, data }));
    });
    hls.loadSource(`${origin}/v1/hls/main.m3u8`);
    const stop = () => hls.destroy();
    return { ended: ended.finally(stop), stop, data };
  }

  return {
    read: () => load().ended,
    stoppable() {
      // It tells nobody that it was destroyed.
      const { stop, data } = load();
      return { ended: () => data, stop };
    },
  };
}
