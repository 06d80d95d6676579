import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";

const ORDERS = gql`
  query {
    orders {
      item
    }
  }
`;
const ADD = gql`
  mutation ($item: String!) {
    order(item: $item) {
      item
    }
  }
`;

export function connect(origin, options) {
  const client = new Client({ url: `${origin}/v1/graphql`, exchanges: [cacheExchange, fetchExchange], ...options });

  const settle = ({ data, error }) =>
    error ? { error: { name: error.name, status: error.response?.status } } : { data: data.orders?.map(({ item }) => item) ?? data };

  return {
    read: async () => settle(await client.query(ORDERS, {})),
    write: async (body) => settle(await client.mutation(ADD, body)),
    stoppable() {
      // Nobody is told of what nobody waits for.
      const results = [];
      const { unsubscribe } = client.query(ORDERS, {}).subscribe((result) => results.push(result));
      return { ended: () => results, stop: unsubscribe };
    },
  };
}
