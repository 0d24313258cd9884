// The HTTP interface: everything that is shown comes from there.

/** An answer that says no: `status`, and what the service says. */
export class Refusal extends Error {
  constructor(status, problem, body) {
    super(problem.message);
    this.status = status;
    this.code = problem.code;
    this.field = problem.field || null;
    this.body = body;
  }
}

/** The service does not answer at all. */
export class Away extends Error {}

let csrf = null;
let onSignedOut = () => {};

/** Have this called whenever a request finds that the session is over. */
export function whenSignedOut(act) {
  onSignedOut = act;
}

async function answered(method, path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  if (options.tag) headers["If-None-Match"] = options.tag;
  const body = options.json === undefined ? options.body : JSON.stringify(options.json);
  try {
    return await fetch(path, { method, headers, body, signal: options.signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Away();
  }
}

/**
 * Ask, and have the answer's JSON, null where there is none. Raises Refusal and Away.
 * `options.tagged` is told its ETag; the answer is null, too, where it still is `options.tag`.
 */
export async function call(method, path, options = {}) {
  const answer = await answered(method, path, options);
  options.tagged?.(answer.headers.get("ETag"));
  if (answer.status === 204 || answer.status === 304) return null;
  let body = null;
  try {
    body = await answer.json();
  } catch {
    throw new Away();
  }
  if (answer.ok || (options.also || []).includes(answer.status)) return body;
  if (answer.status === 401 && !options.signingIn) onSignedOut();
  throw new Refusal(answer.status, body.error || { code: "", message: String(answer.status) }, body);
}

export const get = (path, options) => call("GET", path, options);

/** A path with its query; what is null, empty or false is left out. */
export function query(path, values) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "" || value === false) continue;
    for (const one of [value].flat()) parts.append(name, one);
  }
  const text = parts.toString();
  return text ? `${path}?${text}` : path;
}

/** Who is signed in, null for nobody. */
export async function currentSession() {
  try {
    return keep(await get("v1/session", { signingIn: true }));
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return keep(null);
    throw error;
  }
}

export async function signIn(credentials) {
  return keep(await call("POST", "v1/session", { json: credentials, signingIn: true }));
}

export async function signOut() {
  await call("DELETE", "v1/session", { signingIn: true });
  keep(null);
}

function keep(session) {
  csrf = session && session.csrf;
  return session;
}

/** All pages of leases, at most so many entries: {leases, complete}. */
export async function allLeases(wanted, most, signal) {
  const leases = [];
  let after = null;
  do {
    const page = await get(query("v1/leases", { ...wanted, limit: 500, after }), { signal });
    leases.push(...page.leases);
    after = page.next;
  } while (after !== null && leases.length < most);
  return { leases, complete: after === null };
}
