// The question who somebody is: with the provider that the service names, or with a key or token.

import { begin, finish, isAnswer, offer, session, signOut, token, useToken } from "./oidc.js";
import { say } from "./dom.js";

const dialog = document.getElementById("sign-in");
const key = document.getElementById("key");
const part = (id) => document.getElementById(id);
/** The token that was refused last. */
let refused;

const named = () => { key.textContent = token() ? "Signed in" : "Sign in"; };

function tell(id, text) {
  part(id).textContent = text ?? "";
  part(id).hidden = !text;
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1).replace(/\.?$/, ".");

/** Opens it, with what went wrong, if anything did. */
function ask(trouble) {
  const who = session();
  tell("refused", trouble);
  tell("who", who && `Signed in as ${who.name} with ${who.at}.`);
  part("sign-out").hidden = !who;
  part("forget").hidden = Boolean(who) || !token();
  if (!dialog.open) {
    dialog.showModal();
  }
  offer().then(({ provider, trouble: away }) => {
    tell("issuer-away", away && `${sentence(away)} Until it can be asked again, a key or token is taken.`);
    part("with-issuer").hidden = !provider || Boolean(who && !trouble);
    part("with-issuer").textContent = provider ? `Sign in with ${provider.name}` : "";
    part("use").className = provider ? "" : "primary";
    if (provider && !part("token").value) {
      part("with-issuer").focus();
    }
    part("other").textContent = provider || away ? "Or use an API key or a token" : "An API key or a token";
  });
}

function whyRefused(message) {
  const who = session();
  if (!who) {
    return token() && `The key or token that was used is not, or no longer, accepted: ${message}`;
  }
  if (Date.now() >= who.ends) {
    return "Your sign-in has ended. Sign in again; you come back to this page.";
  }
  const clocks = /Jwt (used before|expired at)/.test(message);
  return `${who.at} signed you in, but this service does not take its token: ${message}. ${clocks
    ? "Sign in again; if it stays so, their clocks differ, and your administrator sets them (espalier.security.jwt.clock-skew)."
    : "Your administrator compares issuer and audience of the token with espalier.security.jwt."}`;
}

/** Sets it up; show draws the page anew for whoever somebody is now. */
export async function signIn(show) {
  dialog.addEventListener("close", () => {
    const field = part("token");
    if (dialog.returnValue === "use" && field.value.trim()) {
      useToken(field.value.trim());
      refused = undefined;
    } else if (dialog.returnValue === "forget") {
      useToken(null);
    }
    dialog.returnValue = "";
    field.value = "";
    named();
    show();
  });
  part("with-issuer").addEventListener("click", async () => {
    const { provider, trouble } = await offer();
    await (provider ? begin(provider) : Promise.reject(new Error(trouble))).catch((e) => ask(e.message));
  });
  part("sign-out").addEventListener("click", () => {
    dialog.close("out");
    signOut().then(named);
  });
  key.addEventListener("click", () => ask(null));
  /** Asks once for each token that was refused, no token among them; whoever closes the question is not asked again by a page that polls. */
  addEventListener("espalier-unauthorized", ({ detail }) => {
    if (!dialog.open && refused !== token()) {
      refused = token();
      ask(whyRefused(detail));
    }
  });
  offer();
  if (isAnswer()) {
    part("main").textContent = "Signing in.";
    await finish().then(() => say(`Signed in as ${session().name}`), (e) => ask(e.message));
  }
  named();
}
