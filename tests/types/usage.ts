// Compiled, never run: what an app may write, and what the compiler has to refuse.
import { TokenWard, TokenWardError } from "tokenward";
import type {
  ErrorCode,
  SignInOptions,
  SignOutReason,
  Snapshot,
  StepUpDetail,
  TokenResponse,
  TokenWardEvent,
  TokenWardOptions,
  User,
} from "tokenward";
import { frontChannelLogout, relay } from "tokenward/callback";
import { authorizeRequests } from "tokenward/service-worker";
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

authorizeRequests({ resources: [{ url: "https://api.example.com/v1/", methods: ["GET"] }], name: "orders", waitSeconds: 10 });
// @ts-expect-error the worker has no server of its own
authorizeRequests({ resources: [], issuer: "https://id.example.com" });

export async function others(ward: TokenWard, frame: HTMLIFrameElement): Promise<void> {
  await ward.connectServiceWorker();
  if (frame.contentWindow) await ward.connectServiceWorker({ name: "orders", window: frame.contentWindow });
  if (frame.contentWindow) ward.install({ window: frame.contentWindow, xhr: true });
  // @ts-expect-error a window, not its element
  ward.install({ window: frame });
  const token: string = await ward.ticket("wss://api.example.com/v1/socket", { method: "GET", signal: AbortSignal.timeout(1000) });
  console.log(token.length);
  // @ts-expect-error a name is a string
  await ward.connectServiceWorker({ name: 7 });
}

const discovered: TokenWardOptions = {
  issuer: "https://id.example.com",
  clientId: "spa",
  redirectUri: "https://app.example.com/",
  relayUri: "https://app.example.com/relay.html",
  postLogoutRedirectUri: "https://app.example.com/bye",
  scope: "openid profile",
  restore: ["session", "silent"],
  session: { url: "/session/token", signOutUrl: "/session/sign-out" },
  endpoints: { jwks: "https://id.example.com/keys", pushedAuthorization: "https://id.example.com/par" },
  resources: [],
};

export async function signIn(stepUp: TokenWardEvent<StepUpDetail>): Promise<void> {
  const ward = await TokenWard.create(discovered);
  const back: { returnTo: string } | null = await ward.handleCallback();
  if (back) history.replaceState(null, "", back.returnTo);
  const { signedIn, retryable }: { signedIn: boolean; retryable: boolean } = await ward.restore();
  console.log(signedIn, retryable);

  const ask: SignInOptions = {
    mode: "redirect",
    returnTo: "/orders",
    prompt: "login",
    loginHint: "ada",
    maxAge: 60,
    acrValues: "a b",
    uiLocales: "de en",
    resource: ["https://api.example.com/"],
    extraParams: { audience: "api" },
    pushed: true,
  };
  await ward.signIn();
  await ward.signIn(ask);
  try {
    const { response } = await ward.signIn({ mode: "popup", stepUp, signal: AbortSignal.timeout(60_000) });
    const status: number | undefined = response?.status;
    console.log(status);
  } catch (error) {
    if (!(error instanceof TokenWardError)) throw error;
    const known: ErrorCode[] = ["popup_blocked", "popup_closed", "state_mismatch", "id_token_invalid"];
    const why: (string | number | null)[] = [error.error, error.status, error.claim];
    console.log(known.includes(error.code), why, error.name === "TokenWardError");
  }
  ward.addEventListener("stepup", (event) => void ward.signIn({ mode: "popup", stepUp: event }));

  const user: User | null = ward.user;
  const name: string | undefined = user?.name;
  const claim: unknown = user?.["sid"];
  console.log(user?.iss, user?.sub, name, claim);

  const { notRevoked } = await ward.signOut({ endSession: true });
  console.log(notRevoked.includes("end_session"), notRevoked.includes("session"));
}

export function pages(): void {
  const passedOn: boolean = relay();
  frontChannelLogout({ issuer: "https://id.example.com", clientId: "spa" });
  console.log(passedOn);
}

export async function refuseToSignIn(ward: TokenWard): Promise<void> {
  // @ts-expect-error no such way
  await ward.signIn({ mode: "frame" });
  // @ts-expect-error seconds are a number
  await ward.signIn({ maxAge: "60" });
  // @ts-expect-error parameters are strings
  await ward.signIn({ extraParams: { audience: 7 } });
  // @ts-expect-error an unknown option
  await ward.signIn({ nonce: "mine" });
  // @ts-expect-error an event of another kind
  await ward.signIn({ stepUp: new Event("stepup") });
  // @ts-expect-error no such way
  await TokenWard.create({ resources: [], restore: ["cookie"] });
  // @ts-expect-error the backend has a URL
  await TokenWard.create({ resources: [], session: { signOutUrl: "/session/sign-out" } });
  // @ts-expect-error nobody may be signed in
  console.log(ward.user.sub);
  // @ts-expect-error read-only
  if (ward.user) ward.user.sub = "eve";
  // @ts-expect-error read-only
  ward.user = null;
  // @ts-expect-error may be null
  (await ward.handleCallback()).returnTo;
  // @ts-expect-error both are needed
  frontChannelLogout({ issuer: "https://id.example.com" });
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
