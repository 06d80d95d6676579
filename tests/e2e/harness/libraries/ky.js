import ky from "ky";

export function connect(origin) {
  const api = ky.create({ prefixUrl: `${origin}/v1` });

  const settle = async (call) => {
    try {
      return { data: await call.json() };
    } catch ({ name, response }) {
      return { error: { name, status: response?.status } };
    }
  };
  const orders = async (options) => {
    const { data, error } = await settle(api.get("orders", options));
    return error ? { error } : { data: data.orders.map(({ item }) => item) };
  };

  return {
    get: (path) => settle(api.get(path)),
    read: () => orders(),
    write: (json) => settle(api.post("echo", { json })),
    stoppable() {
      const controller = new AbortController();
      return { ended: orders({ signal: controller.signal }), stop: () => controller.abort() };
    },
  };
}
