import { EventStreamContentType, fetchEventSource } from "@microsoft/fetch-event-source";

class RetriableError extends Error {}
class FatalError extends Error {}

export function connect(origin) {
  async function listen(path, options) {
    const data = [];
    try {
      await fetchEventSource(`${origin}/v1${path}`, {
        async onopen(response) {
          if (response.ok && response.headers.get("content-type") === EventStreamContentType) return;
          const { status } = response;
          if (status >= 400 && status < 500 && status !== 429) throw Object.assign(new FatalError(), { status });
          throw new RetriableError();
        },
        onmessage: (message) => void data.push(message.data),
        onerror(error) {
          if (error instanceof FatalError) throw error;
        },
        ...options,
      });
      return { data };
    } catch (error) {
      return { error: { name: error.constructor.name, status: error.status } };
    }
  }

  return {
    read: () => listen("/events"),
    write: (body) =>
      listen("/events", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    stoppable() {
      const controller = new AbortController();
      return { ended: listen("/events", { signal: controller.signal }), stop: () => controller.abort() };
    },
    /** Connects again, at once, when the server closes. */
    live(onmessage) {
      const controller = new AbortController();
      const ended = listen("/live", {
        signal: controller.signal,
        onmessage,
        onclose() {
          throw new RetriableError();
        },
        onerror: (error) => {
          if (error instanceof FatalError) throw error;
          return 0;
        },
      });
      return { ended, stop: () => controller.abort() };
    },
  };
}
