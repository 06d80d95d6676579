// The ways to ask the API for something.

/** @typedef {{ ok: boolean, status: number, tokenReceived: boolean, tokenId: string | null }} Answer */

/** @returns {Promise<Answer>} which is in the response: it says whether a token came along, as the page cannot know */
export async function answerOf(response) {
  return { ...(await response.json()), ok: response.ok, status: response.status };
}

/** @returns {Promise<Answer>} */
export const byXhr = (url) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "json";
    request.addEventListener("load", () => {
      const { status, response } = request;
      resolve({ ...response, ok: status < 400, status });
    });
    request.addEventListener("error", ({ error }) => reject(error ?? new DOMException("", "NetworkError")));
    request.send();
  });

/** What does not let the page see an answer. Each resolves with whether it went well. */
export const unseen = {
  image: (url) => loaded(Object.assign(new Image(), { alt: "The API's picture" }), "load", url),
  // Without `crossOrigin`, Firefox takes what plays around the service worker.
  sound: (url) => loaded(Object.assign(new Audio(), { crossOrigin: "anonymous", controls: true }), "loadeddata", url),
  /** Until the first event: then it would connect again. */
  events: (url) =>
    new Promise((resolve) => {
      const source = new EventSource(url);
      const end = ({ type }) => {
        source.close();
        resolve(type === "message");
      };
      for (const type of ["message", "error"]) source.addEventListener(type, end);
    }),
};

/** Shows the element once it has something to show. */
function loaded(element, good, url) {
  return new Promise((resolve) => {
    element.addEventListener(good, () => {
      document.getElementById("shown").replaceChildren(element);
      resolve(true);
    });
    element.addEventListener("error", () => resolve(false));
    element.src = url;
  });
}
