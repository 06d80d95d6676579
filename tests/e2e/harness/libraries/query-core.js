import { MutationObserver, QueryClient, QueryObserver } from "@tanstack/query-core";

const queryKey = ["orders"];

export function connect(origin) {
  const client = new QueryClient();

  async function request(path, init) {
    const response = await fetch(`${origin}/v1${path}`, init);
    if (!response.ok) throw Object.assign(new Error(response.statusText), { status: response.status });
    return response.json();
  }
  const queryFn = async ({ signal }) => (await request("/orders", { signal })).orders.map(({ item }) => item);
  const mutationFn = (body) =>
    request("/echo", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

  const settle = (call) =>
    call.then(
      (data) => ({ data }),
      (error) => ({ error: { name: error.constructor.name, status: error.status } }),
    );

  return {
    /** As a component does, which also retries three times unless it is told not to. */
    observe: () =>
      new Promise((resolve) => {
        let failures = 0;
        const unsubscribe = new QueryObserver(client, { queryKey, queryFn }).subscribe((result) => {
          failures = Math.max(failures, result.failureCount);
          if (result.fetchStatus === "fetching") return;
          unsubscribe();
          resolve({ status: result.status, data: result.data, failures });
        });
      }),
    read: () => settle(client.fetchQuery({ queryKey, queryFn })),
    write: (body) => settle(new MutationObserver(client, { mutationFn }).mutate(body)),
    stoppable: () => ({
      ended: settle(client.fetchQuery({ queryKey, queryFn })),
      stop: () => client.cancelQueries({ queryKey }),
    }),
  };
}
