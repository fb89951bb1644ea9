// Signing in with an OpenID provider: authorization code flow (RFC 6749) with PKCE (RFC 7636), as a public client. Nothing of it outlives the browser tab.

const TOKEN = "espalier-token";
const SESSION = "espalier-session";
const BEGUN = "espalier-sign-in";
const PATIENCE = 15000;
const REST = 10000;
/** So long before a token ends the next one is fetched, but not before half of its life. */
const MARGIN = 30000;
/** Seconds; a provider that does not say how long a token lasts leaves it to the service to refuse it. */
const UNSAID = 1e9;

/** The provider does not answer; it may later. */
export class Away extends Error {}

/** The provider said no. */
class Rejected extends Error {}

export function token() {
  return sessionStorage.getItem(TOKEN);
}

/** Takes a key or token as it was typed in; null forgets whatever there is. */
export function useToken(value) {
  sessionStorage.removeItem(SESSION);
  if (value) {
    sessionStorage.setItem(TOKEN, value);
  } else {
    sessionStorage.removeItem(TOKEN);
  }
}

/** Who signed in, where, and until when the token is good; null when nobody did, or a key or token was typed in. */
export function session() {
  return JSON.parse(sessionStorage.getItem(SESSION));
}

let asked = null;

/** What the service says of signing in: GET /v1/sign-in, once while it has nothing to complain of. */
export function offer() {
  asked ??= fetch("v1/sign-in", { credentials: "omit" }).then(async (answer) => {
    if (!answer.ok) {
      throw new Error(`HTTP ${answer.status}`);
    }
    return answer.json();
  }).catch((e) => ({ mode: null, provider: null, trouble: `The service does not say how to sign in (${e.message}).` })).then((said) => {
    if (said.trouble) {
      asked = null;
    }
    return said;
  });
  return asked;
}

/** This page's address as it is registered with the provider, through whatever proxies: without query, fragment and file. */
export function home() {
  return new URL("./", location.origin + location.pathname).href;
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Leaves for the provider's page. What comes back is held against what is remembered here. */
export async function begin(provider) {
  if (!crypto.subtle) {
    throw new Error("Signing in needs a page that came by https. Open the dashboard by its https address, or use a key or token.");
  }
  const begun = { state: random(), nonce: random(), verifier: random(), issuer: provider.issuer, from: location.hash };
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(begun.verifier))));
  sessionStorage.setItem(BEGUN, JSON.stringify(begun));
  leave(provider.authorization_endpoint, { ...provider.parameters, response_type: "code", client_id: provider.client_id, redirect_uri: home(),
    scope: provider.scopes, state: begun.state, nonce: begun.nonce, code_challenge: challenge, code_challenge_method: "S256" });
}

function leave(where, parameters) {
  const to = new URL(where);
  for (const [name, value] of Object.entries(parameters)) {
    to.searchParams.set(name, value);
  }
  location.assign(to);
}

/** Whether the provider has sent somebody back here. */
export function isAnswer() {
  const answer = new URLSearchParams(location.search);
  return answer.has("code") || answer.has("error");
}

/** Takes the provider's answer out of the address, back to where it all began, and exchanges its code for the token. */
export async function finish() {
  const answer = new URLSearchParams(location.search);
  const begun = JSON.parse(sessionStorage.getItem(BEGUN));
  sessionStorage.removeItem(BEGUN);
  const ours = begun !== null && answer.get("state") === begun.state && (answer.get("iss") ?? begun.issuer) === begun.issuer;
  history.replaceState(null, "", home() + (ours ? begun.from : location.hash));
  if (!ours) {
    throw new Error("The answer that came back belongs to no sign-in of this tab, and was not used. Sign in again from here.");
  }
  const { provider, trouble } = await offer();
  if (provider?.issuer !== begun.issuer) {
    throw new Error(trouble ?? "This service does not sign people in there any more. Use a key or token.");
  }
  if (answer.has("error")) {
    throw new Error(refusal(provider, answer.get("error"), answer.get("error_description")));
  }
  const said = await exchange(provider, { grant_type: "authorization_code", code: answer.get("code"), redirect_uri: home(), code_verifier: begun.verifier });
  const claims = said.id_token ? claimsOf(said.id_token) : null;
  if (claims === null || claims.nonce !== begun.nonce || claims.iss !== provider.issuer || ![claims.aud].flat().includes(provider.client_id)) {
    throw new Error(`${provider.name} sent an ID token that is not for this sign-in, and nothing of it was used. Sign in again; if it stays so, tell your administrator.`);
  }
  keep(said, { issuer: provider.issuer, at: provider.name, name: claims.preferred_username ?? claims.name ?? claims.email ?? claims.sub });
}

/** Its signature is not looked at: it came from the provider itself, by TLS (OpenID Connect Core 1.0, section 3.1.3.7). */
function claimsOf(jwt) {
  try {
    const bytes = Uint8Array.from(atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/** Times go by how long a token lasts, counted from its arrival: this machine's clock may be as wrong as it likes. */
function keep(said, who) {
  const life = 1000 * (Number(said.expires_in) || UNSAID);
  sessionStorage.setItem(TOKEN, said.access_token);
  sessionStorage.setItem(SESSION, JSON.stringify({ ...who, refresh: said.refresh_token ?? who.refresh ?? null, id: said.id_token ?? who.id,
    renew: Date.now() + life - Math.min(MARGIN, life / 2), ends: Date.now() + life }));
}

async function exchange(provider, parameters) {
  let answer;
  try {
    answer = await fetch(provider.token_endpoint, { method: "POST", body: new URLSearchParams({ client_id: provider.client_id, ...parameters }),
      credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Away(`${provider.name} was asked for a token and cannot be reached from this page. Try again in a moment; if it stays so, `
      + `your administrator lets pages of ${location.origin} ask there (CORS, often called web origins).`);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 429 || answer.status >= 500) {
    throw new Away(`${provider.name} has trouble of its own (HTTP ${answer.status}). Try again in a moment.`);
  }
  if (!answer.ok || !said.access_token || String(said.token_type).toLowerCase() !== "bearer") {
    throw new Rejected(refusal(provider, said.error ?? `HTTP ${answer.status}`, said.error_description));
  }
  return said;
}

const REGISTRATION = () => `Your administrator compares the client's registration there with espalier.security.oidc: a public client without a secret, PKCE, `
  + `these scopes, the redirect address ${home()}`;
const ADVICE = {
  access_denied: () => "Sign in again and agree, or ask your administrator to be let in.",
  invalid_grant: () => "A code is good once and for a short while. Sign in again.",
  login_required: () => "Sign in again.",
  interaction_required: () => "Sign in again.",
  temporarily_unavailable: () => "Try again in a moment.",
  server_error: () => "Try again in a moment.",
};

function refusal(provider, error, description) {
  return `${provider.name} did not sign you in: ${error}${description ? ` (${description})` : ""}. ${(ADVICE[error] ?? REGISTRATION)()}`;
}

let renewing = null;

/** The token to send, a new one when that in hand is about to end. */
export async function bearer() {
  const now = session();
  if (now?.refresh && Date.now() >= now.renew) {
    try {
      await renew();
    } catch (e) {
      if (Date.now() >= now.ends) {
        throw e;
      }
      sessionStorage.setItem(SESSION, JSON.stringify({ ...session(), renew: Date.now() + REST }));
    }
  }
  return token();
}

/** Whether there is another token than the one that was refused. */
export async function another(refused) {
  return token() !== refused || (Boolean(session()?.refresh) && renew());
}

/** What was signed in is good for nothing more: it is not renewed again. */
export function spent() {
  const now = session();
  if (now) {
    sessionStorage.setItem(SESSION, JSON.stringify({ ...now, refresh: null }));
  }
}

/** One renewal at a time: a refresh token is often good once. */
function renew() {
  renewing ??= renewal().finally(() => { renewing = null; });
  return renewing;
}

async function renewal() {
  const before = session();
  const { provider, trouble } = await offer();
  if (trouble) {
    throw new Away(trouble);
  }
  try {
    if (provider?.issuer !== before.issuer) {
      throw new Rejected();
    }
    const said = await exchange(provider, { grant_type: "refresh_token", refresh_token: before.refresh });
    if (session()?.refresh === before.refresh) {
      keep(said, before);
    }
    return true;
  } catch (e) {
    if (!(e instanceof Rejected)) {
      throw e;
    }
    spent();
    return false;
  }
}

/** Forgets who signed in, here and, where it has a place for that, at the provider, which sends back to this page. */
export async function signOut() {
  const before = session();
  useToken(null);
  const { provider } = await offer();
  if (provider?.end_session_endpoint && provider.issuer === before?.issuer) {
    leave(provider.end_session_endpoint, { client_id: provider.client_id, post_logout_redirect_uri: home(), id_token_hint: before.id });
  }
}
