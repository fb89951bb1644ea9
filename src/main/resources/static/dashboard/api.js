// The public API, as anybody else would use it: fetch, problem details, server-sent events.

import { another, Away, bearer, spent, token } from "./oidc.js";

const FIRST_PAUSE = 500;
const LAST_PAUSE = 15000;
const SILENCE = 30000;

/** What the API refused, with everything that it said. */
class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = problem?.code;
    this.violations = problem?.violations ?? [];
  }
}

/** The service did not answer at all. */
class Unreachable extends Error {}

/** The same request for a shell, a POST where there is a body; a token is named, not shown. */
export function curl(path, body) {
  const quoted = body && `'${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
  return `curl -s ${token() ? '-H "Authorization: Bearer $ESPALIER_TOKEN" ' : ""}${body ? `-H 'Content-Type: application/json' -d ${quoted} ` : ""}${
    new URL(path, location.href.split("#")[0])}`;
}

/** Without what is null: an order leaves out what it does not say. */
export function plain(value) {
  return value === null || typeof value !== "object" || Array.isArray(value) ? value
    : Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null && one !== undefined).map(([key, one]) => [key, plain(one)]));
}

async function send(path, options = {}) {
  let answer;
  try {
    const used = await bearer();
    answer = await ask(path, options, used);
    if (answer.status === 401 && await another(used)) {
      answer = await ask(path, options, await bearer());
      if (answer.status === 401) {
        spent();
      }
    }
  } catch (e) {
    if (e.name === "AbortError") {
      throw e;
    }
    throw new Unreachable(e instanceof Away ? e.message : "The service does not answer. This page tries again by itself.");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => null);
    const refused = new Refused(answer.status, problem);
    refused.retryAfter = Number(answer.headers.get("Retry-After")) || null;
    if (answer.status === 401) {
      dispatchEvent(new CustomEvent("espalier-unauthorized", { detail: refused.message }));
    }
    throw refused;
  }
  return answer;
}

function ask(path, options, token) {
  const headers = new Headers(options.headers);
  if (token) {
    headers.set("Authorization", `Bearer ${token}`);
  }
  return fetch(path, { ...options, headers, credentials: "omit" });
}

export async function get(path, signal) {
  return (await send(path, { signal })).json();
}

export async function post(path, body, signal) {
  const options = { method: "POST", signal };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  const answer = await send(path, options);
  return answer.status === 204 ? null : answer.json();
}

export async function remove(path) {
  await send(path, { method: "DELETE" });
}

/** Some bytes of a file; null for its end leaves it open. */
export async function bytes(path, from, to, signal) {
  const answer = await send(path, { signal, headers: { Accept: "application/vnd.safetensors", Range: `bytes=${from}-${to}` } });
  const whole = await answer.arrayBuffer();
  return answer.status === 206 ? whole : whole.slice(from, to + 1);
}

/**
 * Follows the events of a job until it has ended or signal says so; a connection that is lost is made again where it was lost.
 * EventSource would do as much, but cannot bring a token.
 */
export async function follow(path, signal, heard, lost) {
  let last = null;
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      const answer = await send(path, { signal, headers: { Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) } });
      if (answer.status === 204) {
        return;
      }
      lost(null);
      pause = FIRST_PAUSE;
      for await (const event of events(answer.body)) {
        if (event.id) {
          last = event.id;
        }
        heard(event.type, JSON.parse(event.data));
        if (event.type === "end") {
          return;
        }
      }
      lost(new Unreachable("The service has ended the stream. This page follows it again by itself."));
    } catch (e) {
      if (signal.aborted) {
        return;
      }
      if (e instanceof Refused && !passes(e)) {
        throw e;
      }
      lost(e instanceof Refused || e instanceof Unreachable ? e : new Unreachable("The connection broke. This page connects again by itself."));
      pause = Math.max(pause, 1000 * (e.retryAfter ?? 0));
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(LAST_PAUSE, pause * 2);
  }
}

/** What may be otherwise when it is asked again: nobody answered, too many asked, or the service has trouble of its own. */
export function passes(error) {
  return error instanceof Unreachable || error.status === 429 || error.status >= 500;
}

/** The service gives a sign of life every 10 seconds; a connection without any is dead, whatever the network says. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let watch;
    const silence = new Promise((_, reject) => {
      watch = setTimeout(() => reject(new Unreachable("Nothing was heard for 30 seconds. This page connects again by itself.")), SILENCE);
    });
    const { value, done } = await Promise.race([reader.read(), silence]).catch((e) => {
      reader.cancel().catch(() => {});
      throw e;
    }).finally(() => clearTimeout(watch));
    if (done) {
      return;
    }
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { type: "message", id: null, data: "" };
      for (const line of block.split("\n")) {
        const [, field, text] = /^([a-z]*):? ?(.*)$/.exec(line) ?? [];
        if (field === "event") event.type = text;
        if (field === "id") event.id = text;
        if (field === "data") event.data += text;
      }
      if (event.data) {
        yield event;
      }
    }
  }
}
