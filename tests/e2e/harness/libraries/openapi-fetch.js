import createClient from "openapi-fetch";

export function connect(origin, options) {
  const client = createClient({ baseUrl: `${origin}/v1`, ...options });

  const settle = async (call) => {
    try {
      const { data, error, response } = await call;
      return error ? { error: { status: response.status } } : { data };
    } catch ({ name }) {
      return { error: { name } };
    }
  };
  const orders = async (options) => {
    const { data, error } = await settle(client.GET("/orders", options));
    return error ? { error } : { data: data.orders.map(({ item }) => item) };
  };

  return {
    read: () => orders(),
    write: (body) => settle(client.POST("/echo", { body })),
    stoppable() {
      const controller = new AbortController();
      return { ended: orders({ signal: controller.signal }), stop: () => controller.abort() };
    },
  };
}

/** The way out for a client that is made before `install()`. */
export const connectLate = (origin) => connect(origin, { fetch: (request) => fetch(request) });
