// Compiled, never run: what an app may write, and what the compiler has to refuse.
import { TokenWard, TokenWardError } from "tokenward";
import type { SignOutReason, Snapshot, TokenResponse, TokenWardOptions } from "tokenward";
import { TokenWard as InlineWard } from "tokenward/inline";

const options: TokenWardOptions = {
  clientId: "spa",
  endpoints: { token: "https://id.example.com/token", revocation: "https://id.example.com/revoke" },
  resources: [{ url: "https://api.example.com/v1/", methods: ["GET", "POST"] }],
  waitSeconds: 30,
  wasm: new URL("https://app.example.com/core.wasm"),
};

export async function use(answer: TokenResponse): Promise<void> {
  const ward: TokenWard = (await TokenWard.create(options)).install();
  ward.setTokens(answer, { requestedAt: Date.now() });
  ward.addEventListener("signedout", (event) => {
    const reason: SignOutReason = event.reason;
    const same: SignOutReason = event.detail.reason;
    const error: string | null = event.error;
    console.log(reason, same, error);
    // @ts-expect-error a sign-out has no generation
    event.generation;
  });
  ward.addEventListener("refreshed", function (event) {
    const at: number | null = event.expiresAt;
    console.log(this.signedIn, at);
  });
  ward.addEventListener("something-else", (event: Event) => console.log(event.type), { once: true });

  const { fetch } = ward;
  const response: Response = await fetch("https://api.example.com/v1/orders", { signal: AbortSignal.timeout(1000) });
  console.log(response.status);

  const snapshot: Snapshot = ward.snapshot();
  if (snapshot.nextRefresh?.why === "retry_after") console.log(snapshot.nextRefresh.at);

  try {
    await ward.refresh();
  } catch (error) {
    if (error instanceof TokenWardError && error.retryable) console.log(error.code === "token_unavailable");
  }
  const { revoked, notRevoked } = await ward.signOut();
  console.log(revoked, notRevoked.includes("refresh_token"));
  ward.uninstall();
  ward.close();
}

export async function refuse(ward: TokenWard): Promise<void> {
  // @ts-expect-error made with `create`
  new TokenWard(options);
  // @ts-expect-error `resources` is needed
  await TokenWard.create({ clientId: "spa" });
  // @ts-expect-error an unknown option
  await TokenWard.create({ resources: [], leeway: 5 });
  // @ts-expect-error read-only
  ward.signedIn = false;
  // @ts-expect-error a token response has an access token
  ward.setTokens({ refresh_token: "r" });
  // @ts-expect-error not a code
  console.log(new Error() instanceof TokenWardError && new Error().code === "nonsense");
}

export const callback = InlineWard.create({
  resources: [],
  refresh: async ({ signal }) => {
    const response = await fetch("/session/token", { signal });
    return response.status === 401 ? null : ((await response.json()) as TokenResponse);
  },
});
