// A storage adapter for oidc-provider that lives in memory and can forget every grant at once.

const GRANTED = ["Grant", "AuthorizationCode", "AccessToken", "RefreshToken"];

export function createStore() {
  const models = new Map();
  const entries = (model) => {
    if (!models.has(model)) models.set(model, new Map());
    return models.get(model);
  };
  const findBy = (model, member, value) => [...entries(model).values()].find((payload) => payload[member] === value);

  return {
    adapter: (model) => ({
      upsert: async (id, payload) => void entries(model).set(id, payload),
      find: async (id) => entries(model).get(id),
      findByUid: async (uid) => findBy(model, "uid", uid),
      findByUserCode: async (userCode) => findBy(model, "userCode", userCode),
      consume: async (id) => {
        entries(model).get(id).consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void entries(model).delete(id),
      revokeByGrantId: async (grantId) => {
        for (const [id, payload] of entries(model)) if (payload.grantId === grantId) entries(model).delete(id);
      },
    }),
    revokeGrants() {
      for (const model of GRANTED) models.delete(model);
    },
  };
}
