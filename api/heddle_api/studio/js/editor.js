// The editor behind the view: one picture, one edit document, and the newest answer of the edge.
//
// Controls may change faster than pictures come back: one request is under way at a time, and the next one carries
// whatever the controls say by then. A drag never waits for a pause. Readings follow once the controls rest. What is
// answered for a picture or an adapter that is no longer shown is dropped.

const UNDO_MERGE_MS = 600; // moves of one factor closer together than this are one step to undo
const MOST_UNDO = 100;
const READ_PAUSE_MS = 250;
const MOST_READ_PAUSE_MS = 4000; // a reading that did not come is asked for again, ever later, until this

/** Fires "change" whenever something to show is new. */
export class Editor extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
    this.adapter = null;
    this.original = null;
    this.before = null;
    this.after = null;
    this.result = null;
    this.set = {};
    this.detail = "auto";
    this.working = false;
    this.error = null;
    this.imageId = null;
    this.turn = 0;
    this.timer = null;
    this.past = [];
    this.lastMove = { factor: null, at: 0 };
  }

  /** Edit with this adapter reference ("avatars@production") from now on. */
  async useAdapter(reference) {
    this.adapter = reference;
    this.set = {};
    this.past = [];
    if (this.original) await this.load(this.original);
  }

  /** Take a picture and read it. */
  async load(blob) {
    const turn = ++this.turn;
    Object.assign(this, { original: blob, before: null, after: null, result: null, imageId: null, error: null });
    this.#tell();
    try {
      const taken = await this.#take(blob);
      if (turn !== this.turn) return;
      this.imageId = taken.image_id;
      this.before = taken.readings;
      if (this.edited) return this.#schedule(0);
    } catch (error) {
      if (turn === this.turn) this.error = error;
    }
    this.#tell();
  }

  /** Set a factor to a value, or leave it as it is (null). */
  change(factor, value) {
    if ((this.set[factor] ?? null) === value) return;
    const now = performance.now();
    const merges = this.lastMove.factor === factor && now - this.lastMove.at < UNDO_MERGE_MS;
    if (!merges) this.#remember();
    this.lastMove = { factor, at: now };
    this.set = { ...this.set };
    if (value === null) delete this.set[factor];
    else this.set[factor] = value;
    this.#tell();
    this.#schedule(0);
  }

  /** Take what the edge suggests: several factors as one step to undo; null leaves one as the picture shows it. */
  takeSuggestion(set) {
    this.#remember();
    this.lastMove = { factor: null, at: 0 };
    this.set = Object.fromEntries(Object.entries({ ...this.set, ...set }).filter(([, value]) => value !== null));
    this.#tell();
    this.#schedule(0);
  }

  /** Take back the last change. */
  undo() {
    if (!this.past.length) return;
    this.set = this.past.pop();
    this.lastMove = { factor: null, at: 0 };
    this.#tell();
    this.#schedule(0);
  }

  #remember() {
    this.past.push(this.set);
    if (this.past.length > MOST_UNDO) this.past.shift();
  }

  /** Choose how the answer is drawn: auto, preserve or decode. */
  draw(detail) {
    this.detail = detail;
    if (this.edited) this.#schedule(0);
  }

  /** Leave every factor as it is. */
  reset() {
    if (this.edited) this.#remember();
    this.set = {};
    this.#tell();
    this.#schedule(0);
  }

  /** Ask again after a failure. */
  async retry() {
    if (this.original && !this.before) await this.load(this.original);
    else this.#schedule(0);
  }

  get edited() {
    return Object.keys(this.set).length > 0;
  }

  /** The edit as it is sent. */
  get document() {
    return { adapter: this.adapter, set: { ...this.set }, detail: this.detail };
  }

  stop() {
    this.turn += 1;
    clearTimeout(this.timer);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  #schedule(pause) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#run(), pause);
  }

  async #run() {
    if (!this.original || !this.adapter || this.working) return;
    if (!this.edited) {
      Object.assign(this, { result: null, after: null, error: null });
      return this.#tell();
    }
    const turn = this.turn;
    const sent = JSON.stringify(this.document);
    this.working = true;
    this.#tell();
    try {
      const result = await this.#edit(sent);
      if (turn === this.turn) Object.assign(this, { result, error: null, after: null });
    } catch (error) {
      if (turn === this.turn) this.error = error;
    }
    this.working = false;
    this.#tell();
    if (turn !== this.turn || JSON.stringify(this.document) !== sent) return this.#schedule(0);
    if (!this.error) this.timer = setTimeout(() => this.#readResult(turn), READ_PAUSE_MS);
  }

  async #edit(document) {
    const started = performance.now();
    const answer = await this.#sendEdit(document);
    const blob = await answer.blob();
    return {
      blob,
      ms: performance.now() - started,
      version: answer.headers.get("X-Adapter-Version"),
      cache: answer.headers.get("X-Cache"),
      detail: answer.headers.get("X-Detail"),
      extrapolation: answer.headers.get("X-Extrapolation"),
      suggestion: answer.headers.get("X-Suggestion"),
      reason: answer.headers.get("X-Detail-Reason"),
      editId: answer.headers.get("X-Edit-Id"),
      set: JSON.parse(document).set,
    };
  }

  async #sendEdit(document) {
    const send = (image) => this.api.edge("/v1/edits", { ...image, edit: document }, "image/png");
    if (this.imageId) {
      try {
        return await send({ image_id: this.imageId });
      } catch (error) {
        if (error.code !== "unknown_image") throw error;
        this.imageId = null; // the edge forgot it; we still have it
      }
    }
    return send({ image: this.original });
  }

  async #readResult(turn, pause = READ_PAUSE_MS) {
    const { result } = this;
    const shown = () => turn === this.turn && this.result === result && !this.working;
    let failed = null;
    try {
      const taken = await this.#take(result.blob);
      if (shown()) this.after = taken.readings;
    } catch (error) {
      failed = error;
    }
    if (shown() && !this.after) {
      if (pause < MOST_READ_PAUSE_MS && (failed?.retryable ?? true)) {
        this.timer = setTimeout(() => this.#readResult(turn, 2 * pause), 2 * pause);
      } else if (failed) this.error = failed;
    }
    this.#tell();
  }

  async #take(blob) {
    try {
      return await (await this.api.edge("/v1/images", { image: blob, adapter: this.adapter })).json();
    } catch (error) {
      // without its cache the edge keeps nothing: edits go on with the picture itself, unread
      if (error.code === "image_not_kept") return { image_id: null, readings: null };
      throw error;
    }
  }
}
