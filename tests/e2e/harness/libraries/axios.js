import axios from "axios";

export function connect(origin, options) {
  const client = axios.create({ baseURL: `${origin}/v1`, ...options });

  const settle = async (call) => {
    try {
      return { data: (await call).data };
    } catch ({ name, code, response }) {
      return { error: { name, code, status: response?.status } };
    }
  };
  const orders = async (config) => {
    const { data, error } = await settle(client.get("/orders", config));
    return error ? { error } : { data: data.orders.map(({ item }) => item) };
  };

  return {
    client,
    settle,
    read: () => orders(),
    write: (body) => settle(client.post("/echo", body)),
    stoppable() {
      const controller = new AbortController();
      return { ended: orders({ signal: controller.signal }), stop: () => controller.abort() };
    },
    stoppableByCancelToken() {
      const source = axios.CancelToken.source();
      return { ended: orders({ cancelToken: source.token }), stop: () => source.cancel("changed my mind") };
    },
  };
}
