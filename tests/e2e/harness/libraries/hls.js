import Hls from "hls.js";

/** Why there is no playing in this browser, if there is none. */
export function obstacle() {
  if (!Hls.isSupported()) return "hls.js finds no Media Source Extensions";
  return MediaSource.isTypeSupported('audio/mp4; codecs="mp4a.40.2"') ? undefined : "Media Source Extensions without AAC";
}

/** As the README shows. Resolves with how much the video has, once it has everything. */
export function play(origin, options, onlevel) {
  const hls = new Hls(options);
  const video = document.createElement("video");
  const ended = new Promise((resolve) => {
    hls.on(Hls.Events.LEVEL_LOADED, onlevel);
    hls.on(Hls.Events.BUFFERED_TO_END, () => resolve({ seconds: video.buffered.end(video.buffered.length - 1) }));
    hls.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && resolve({ error: details }));
  });
  hls.loadSource(`${origin}/v1/hls/main.m3u8`);
  hls.attachMedia(video);
  return ended.finally(() => hls.destroy());
}

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
