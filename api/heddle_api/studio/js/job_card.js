// One job: its head, its progress as it happens, and its history.
import { follow } from "./follow.js";
import { fill, h, notify } from "./dom.js";
import { clock, duration, moment, percent, plain, status } from "./words.js";

export const OPEN = ["validating", "queued", "running", "scoring"];
const NAMES = { fit: "Fit", refit: "Refit", pretrain: "Pretraining", sweep: "Sweep", evaluate: "Evaluation", export: "Export", erase: "Erasure" };

/**
 * @param {import("./api.js").Api} api
 * @param {() => void} reload asks for the list again
 * @returns {{element: HTMLElement, update: (job: object) => void, stop: () => void}}
 */
export function jobCard(api, reload) {
  const head = h("div", { class: "row spread" });
  const bar = h("progress", { max: 1, value: 0 });
  const stage = h("p", { class: "small muted" });
  const trouble = h("div");
  const events = h("ol", { class: "events" });
  const history = h("details", {}, h("summary", {}, "What happened"), events);
  const element = h("article", { class: "panel" }, head, bar, stage, trouble, history);
  let job = null;
  let seen = "";
  let unfollow = null;

  const onEvent = (type, data) => {
    if (type !== "progress") return events.append(told(data));
    const changed = data.status !== job.status;
    Object.assign(job, data);
    show();
    if (changed) reload();
  };
  const onEnd = () => {
    unfollow = null;
    reload();
  };
  const onBroken = () => {
    stage.textContent = "The connection is lost; trying again …";
  };
  const show = () => {
    const open = OPEN.includes(job.status);
    const name = nameOf(job);
    const [words, tone] = status(job.status);
    const now = JSON.stringify([job.status, job.cancel_requested, job.result?.version, job.error]);
    if (now !== seen) {
      seen = now;
      element.setAttribute("aria-label", `${name}: ${words}`);
      bar.setAttribute("aria-label", `Progress: ${name}`);
      fill(head,
        h("div", { class: "row" }, h("h2", {}, name), h("span", { class: `badge ${tone}` }, words)),
        h("div", { class: "row" },
          h("span", { class: "muted small" }, moment(job.created_at)),
          open && h("button", { type: "button", disabled: job.cancel_requested, onclick: () => cancel(api, job, reload) }, job.cancel_requested ? "Being cancelled …" : "Cancel"),
          job.result?.version && h("a", { class: "button", href: `#/adapters/${encodeURIComponent(job.adapter)}/${job.result.version}` }, `Version ${job.result.version}`)));
      fill(trouble, job.error && h("p", { class: "alert" }, job.error.message));
    }
    bar.hidden = !open;
    bar.value = job.progress;
    stage.textContent = spoken(job, open);
  };
  const update = (given) => {
    const first = job === null;
    job = { ...given };
    show();
    // a finished job's history is read once; an open one's comes as it happens
    if (first) unfollow = follow(api, job.id, { onEvent, onEnd: OPEN.includes(job.status) ? onEnd : () => {}, onBroken });
  };
  return { element, update, stop: () => unfollow?.() };
}

function nameOf(job) {
  const kind = NAMES[job.type] ?? plain(job.type);
  return job.adapter ? `${kind} of ${job.adapter}` : kind;
}

function spoken(job, open) {
  if (!open) return job.finished_at ? `Took ${duration(job.started_at ?? job.created_at, job.finished_at)}.` : "";
  const left = job.eta_seconds ?? job.estimated_seconds ?? null;
  const soon = left === null ? "" : ` About ${left < 90 ? `${Math.ceil(left)} s` : `${Math.round(left / 60)} min`} left.`;
  if (job.queue_position) return `${job.queue_position === 1 ? "One job goes" : `${job.queue_position} jobs go`} before it.${soon}`;
  if (job.status === "validating") return "It starts once its labelled set is checked.";
  if (job.status === "queued" && !job.stage) return `Next in line.${soon}`;
  const again = job.attempt > 1 ? `, attempt ${job.attempt}` : "";
  return `${job.stage ? plain(job.stage) : "Starting"} … ${percent(job.progress)}${again}.${soon}`;
}

function told(event) {
  const details = Object.entries(event.data ?? {})
    .filter(([name]) => name !== "status" && name !== "error")
    .map(([name, value]) => `${plain(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const words = [plain(event.type), ...details, event.data?.error?.message].filter(Boolean).join(" · ");
  return h("li", {}, h("time", { datetime: event.created_at }, clock(event.created_at)), words);
}

async function cancel(api, job, reload) {
  try {
    await api.post(`/v1/jobs/${job.id}/cancel`);
    notify(`${nameOf(job)} is being cancelled.`);
  } catch (error) {
    notify(error.message);
  }
  reload();
}
