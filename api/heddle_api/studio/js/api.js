// The two planes over HTTP: every answer is data or a Problem with a sentence in it.

/** What went wrong, as the server said it (RFC 9457), or that it could not be reached. */
export class Problem extends Error {
  /**
   * @param {number} status 0: nobody answered
   * @param {object|null} document problem+json
   * @param {string} fallback a sentence for answers without one
   */
  constructor(status, document, fallback) {
    super(document?.detail ?? fallback);
    this.status = status;
    this.code = document?.code ?? "unreachable";
    this.errors = document?.errors ?? [];
    this.requestId = document?.request_id ?? null;
    this.retryable = document?.retryable ?? status === 0;
  }
}

/** A signed-in client of the control plane and the edge. */
export class Api {
  /**
   * @param {string} edgeUrl where edits go
   * @param {string} key API key; sent in a header, never in an address
   * @param {() => void} onRefused called when the key is no longer taken
   */
  constructor(edgeUrl, key, onRefused) {
    this.edgeUrl = edgeUrl.replace(/\/$/, "");
    this.key = key;
    this.onRefused = onRefused;
  }

  /** GET JSON from the control plane. */
  async get(path) {
    return (await this.#send(path, {})).json();
  }

  /** GET JSON with its ETag: [document, etag]. */
  async getTagged(path) {
    const answer = await this.#send(path, {});
    return [await answer.json(), answer.headers.get("ETag")];
  }

  /** GET a page of HTML as text. */
  async getPage(path) {
    return (await this.#send(path, { headers: { Accept: "text/html" } })).text();
  }

  /** GET a file. */
  async getBlob(path) {
    return (await this.#send(path, {})).blob();
  }

  /** POST JSON; repeated sends of one click do the work once. */
  async post(path, body) {
    return this.postText(path, JSON.stringify(body ?? {}), "application/json");
  }

  /** POST a document as it was written. */
  async postText(path, text, type) {
    const headers = { "Content-Type": type, "Idempotency-Key": unique() };
    return (await this.#send(path, { method: "POST", headers, body: text })).json();
  }

  /** PATCH JSON; `etag` says which state it changes, where that is asked for. */
  async patch(path, body, etag) {
    const headers = { "Content-Type": "application/json", ...(etag ? { "If-Match": etag } : {}) };
    return (await this.#send(path, { method: "PATCH", headers, body: JSON.stringify(body) })).json();
  }

  /** PUT JSON; `etag` says which state it replaces. */
  async put(path, body, etag) {
    const headers = { "Content-Type": "application/json", ...(etag ? { "If-Match": etag } : {}) };
    return (await this.#send(path, { method: "PUT", headers, body: JSON.stringify(body) })).json();
  }

  /** DELETE; `etag` as for `put`. */
  async remove(path, etag) {
    await this.#send(path, { method: "DELETE", headers: etag ? { "If-Match": etag } : {} });
  }

  /**
   * A list's entries, page by page, up to `most`.
   * @param {string} path may carry a query
   * @param {number} most
   * @param {(entries: object[]) => void} [onPage] told after every page
   */
  async list(path, most = 100, onPage) {
    const entries = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: Math.min(most - entries.length, 100), ...(cursor ? { after: cursor } : {}) });
      const page = await this.get(`${path}${path.includes("?") ? "&" : "?"}${query}`);
      entries.push(...page.data);
      cursor = page.has_more ? page.next_cursor : null;
      onPage?.(entries);
    } while (cursor && entries.length < most);
    return entries;
  }

  /** GET what this server may not offer: null where there is no such route or thing. */
  async getIfThere(path) {
    try {
      return await this.get(path);
    } catch (error) {
      if (error.status === 404 || error.status === 405) return null;
      throw error;
    }
  }

  /** Open a stream of server-sent events; the Response, whose body is read piece by piece. */
  async stream(path, lastEventId, signal) {
    const headers = { Accept: "text/event-stream", ...(lastEventId ? { "Last-Event-ID": lastEventId } : {}) };
    return this.#send(path, { headers, signal });
  }

  /** Send a form to the edge; returns the Response. */
  async edge(path, fields, accept = "application/json") {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      if (value instanceof Blob) body.append(name, value, value.name ?? "image.png");
      else body.append(name, value);
    }
    return this.#send(this.edgeUrl + path, { method: "POST", headers: { Accept: accept }, body });
  }

  async #send(url, options) {
    const headers = { ...options.headers, Authorization: `Bearer ${this.key}` };
    let answer;
    try {
      answer = await fetch(url, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Problem(0, null, unreachable(url.startsWith("http") ? `edge at ${this.edgeUrl}` : "control plane"));
    }
    if (answer.ok) return answer;
    const text = await answer.text();
    let document = null;
    try {
      document = JSON.parse(text);
    } catch {
      // a proxy's own page: its status is all there is to say
    }
    if (answer.status === 401) this.onRefused();
    throw new Problem(answer.status, document, `The server answered ${answer.status}; try again in a moment.`);
  }
}

/** Read where the edge is; needs no key. */
export async function readConfig() {
  const answer = await fetch("/studio/config.json", { cache: "no-store" });
  if (!answer.ok) throw new Problem(answer.status, null, "The control plane does not say where the edge is; try again.");
  return answer.json();
}

function unreachable(plane) {
  if (!navigator.onLine) return "This device is offline; what you did is still here. Connect it and try again.";
  return `The ${plane} cannot be reached; check that it runs and try again.`;
}

function unique() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
