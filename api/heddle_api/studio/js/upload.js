// Uploads: a file is hashed, sent in parts straight to the object store, and put together. What was sent stays sent:
// after a failure, going on sends only the parts that are missing.
import { Problem } from "./api.js";
import { sha256Of } from "./sha256.js";

const TRIES = 4;
const PAUSE_MS = 400;

/** Fires "change"; `state` is waiting, hashing, sending, registering, paused or done. */
export class Upload extends EventTarget {
  /**
   * @param {import("./api.js").Api} api
   * @param {File} file
   * @param {{name: string, factorSet: string}} wanted the labelled set it becomes
   */
  constructor(api, file, wanted) {
    super();
    Object.assign(this, { api, file, wanted, state: "waiting", share: 0, error: null, dataset: null });
    this.begun = null;
    this.etags = new Map();
    this.stopped = false;
  }

  /** Start, or go on where it stopped. */
  async run() {
    this.stopped = false;
    this.#become("hashing", { error: null });
    try {
      this.digest ??= await sha256Of(this.file, (share) => this.#progress(share));
      if (this.begun && new Date(this.begun.expires_at) < new Date()) this.#forget();
      const { name, size } = this.file;
      this.begun ??= await this.api.post("/v1/uploads", { filename: name, bytes: size, sha256: this.digest });
      this.#become("sending");
      for (const part of this.begun.parts) {
        if (!this.etags.has(part.number)) this.etags.set(part.number, await this.#send(part));
      }
      this.#become("registering", { share: 1 });
      const parts = Array.from(this.etags, ([number, etag]) => ({ number, etag }));
      if (!this.complete) await this.api.post(`/v1/uploads/${this.begun.id}/complete`, { parts });
      this.complete = true;
      const body = { name: this.wanted.name, factor_set: this.wanted.factorSet, upload: this.begun.id };
      this.dataset = await this.api.post("/v1/datasets", body);
      this.#become("done");
    } catch (error) {
      if (["upload_expired", "upload_gone", "size_mismatch", "invalid_parts"].includes(error.code)) this.#forget();
      this.#become("paused", { error: this.stopped ? null : error });
    }
  }

  /** Stop sending; `run` goes on. */
  pause() {
    this.stopped = true;
    this.sending?.abort();
  }

  #forget() {
    Object.assign(this, { begun: null, complete: false });
    this.etags.clear();
  }

  async #send(part) {
    for (let attempt = 1; ; attempt++) {
      if (this.stopped) throw new Problem(0, null, "Stopped.");
      try {
        return await this.#put(part);
      } catch (error) {
        if (this.stopped || attempt === TRIES) throw error;
        await new Promise((resume) => setTimeout(resume, PAUSE_MS * 2 ** attempt));
      }
    }
  }

  // fetch tells nothing of how far a body has been sent; XMLHttpRequest does
  #put(part) {
    const piece = this.file.slice(part.first_byte, part.first_byte + part.bytes);
    return new Promise((taken, refused) => {
      const request = new XMLHttpRequest();
      this.sending = request;
      request.open("PUT", part.url);
      for (const [name, value] of Object.entries(part.headers)) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => this.#progress((part.first_byte + event.loaded) / this.file.size));
      request.addEventListener("load", () => {
        const etag = request.getResponseHeader("ETag");
        if (request.status < 300 && etag) taken(etag);
        else refused(new Problem(request.status, null, storeTrouble(request.status)));
      });
      const lost = () => refused(new Problem(0, null, "The object store cannot be reached. What was sent is kept: go on when it is back."));
      request.addEventListener("error", lost);
      request.addEventListener("abort", lost);
      request.send(piece);
    });
  }

  #progress(share) {
    this.share = Math.min(1, share);
    this.dispatchEvent(new Event("change"));
  }

  #become(state, more = {}) {
    Object.assign(this, { state, ...more });
    this.dispatchEvent(new Event("change"));
  }
}

function storeTrouble(status) {
  if (status === 403) return "The object store refused a part: its address expired or was changed. Go on to try again.";
  if (status < 300) return "The object store does not tell the browser a part's ETag; let its CORS rule expose ETag.";
  return `The object store answered ${status}. What was sent is kept: go on to try again.`;
}
