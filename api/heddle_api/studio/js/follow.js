// Following a job: server-sent events read with fetch, because a browser's EventSource cannot send a key.
// A stream that breaks is taken up again behind the last event that arrived.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

/**
 * @param {import("./api.js").Api} api
 * @param {string} jobId
 * @param {{onEvent: (type: string, data: object) => void, onEnd: () => void, onBroken: (error: Error) => void}} to
 *   `onEvent` gets stored events and, of type "progress", the present state; `onEnd`: the job is final
 * @returns {() => void} stops following
 */
export function follow(api, jobId, { onEvent, onEnd, onBroken }) {
  const stop = new AbortController();
  let last = null;
  let pause = FIRST_PAUSE_MS;
  const take = ({ id, event, data }) => {
    if (event === "key_ended") throw Object.assign(new Error(JSON.parse(data).message), { status: 401 });
    if (id) last = id;
    onEvent(event, JSON.parse(data));
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        const answer = await api.stream(`/v1/jobs/${jobId}/events`, last, stop.signal);
        pause = FIRST_PAUSE_MS;
        await readEvents(answer.body, take);
        return onEnd();
      } catch (error) {
        if (stop.signal.aborted) return;
        onBroken(error);
        if (error.status === 401 || error.status === 404) return;
        await new Promise((resume) => setTimeout(resume, pause));
        pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
      }
    }
  };
  run();
  return () => stop.abort();
}

/** Read a stream of events until it ends. @param {ReadableStream} body @param {(event: {id: string, event: string, data: string}) => void} take */
export async function readEvents(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const fields = {};
      for (const line of piece.split("\n")) {
        const found = /^(id|event|data): ?(.*)$/.exec(line);
        if (found) fields[found[1]] = found[1] in fields ? `${fields[found[1]]}\n${found[2]}` : found[2];
      }
      if (fields.data !== undefined) take(fields);
    }
  }
}
