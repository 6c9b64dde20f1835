// One job: its head, its progress as it happens, and its history.
import { sentence } from "./alert.js";
import { follow } from "./follow.js";
import { fill, h, notify } from "./dom.js";
import { archiveButton, reportButton } from "./job_files.js";
import { ahead, clock, counted, duration, moment, percent, plain, status } from "./words.js";

export const OPEN = ["validating", "queued", "running", "scoring"];
const NAMES = { fit: "Fit", refit: "Refit", pretrain: "Pretraining", sweep: "Sweep", evaluate: "Evaluation", export: "Export", drift_check: "Look at drift", erase: "Erasure", rollout: "Rollout", validate: "Check" };

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

  // the list does not tell them; a failed job's own page does
  const tellAttempts = async ({ id }) => {
    try {
      const { attempts } = await api.get(`/v1/jobs/${id}`);
      if (job.id === id && job.status === "failed" && attempts?.length) trouble.append(attemptsOf(attempts));
    } catch {
      // the error itself is told already; its history stands below
    }
  };
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
    const now = JSON.stringify([job.status, job.cancel_requested, job.result?.version, job.result?.archive?.sha256, job.error]);
    if (now !== seen) {
      seen = now;
      element.setAttribute("aria-label", `${name}: ${words}`);
      bar.setAttribute("aria-label", `Progress: ${name}`);
      fill(head,
        h("div", { class: "row" }, h("h2", {}, name), h("span", { class: `badge ${tone}` }, words)),
        h("div", { class: "row" },
          h("span", { class: "muted small" }, moment(job.created_at)),
          job.status === "failed" && h("button", { type: "button", class: job.dead_letter ? "primary" : null, onclick: () => retry(api, job, reload) }, "Retry"),
          open && h("button", { type: "button", disabled: job.cancel_requested, onclick: () => cancel(api, job, reload) }, job.cancel_requested ? "Being cancelled …" : "Cancel"),
          job.type === "sweep" && job.result?.report && reportButton(api, job),
          job.type === "export" && job.result?.archive && archiveButton(api, job),
          job.result?.version && h("a", { class: "button", href: `#/adapters/${encodeURIComponent(job.adapter)}/${job.result.version}` }, `Version ${job.result.version}`)));
      fill(trouble, job.error && h("p", { class: "alert" }, sentence(job.error.message),
        job.dead_letter && " The platform's fault, not your data's: nothing is lost, retry it."));
      if (job.status === "failed") tellAttempts(job);
    }
    bar.hidden = !open;
    bar.value = job.progress;
    stage.textContent = spoken(job, open);
  };
  const update = (given) => {
    // followed once; a finished one that was sent again is open once more
    const first = job === null || (!OPEN.includes(job.status) && OPEN.includes(given.status));
    if (first) {
      unfollow?.();
      fill(events);
    }
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
  if (!open) {
    const why = job.type === "sweep" && job.status === "succeeded" ? `${job.result.why} ` : "";
    return job.finished_at ? `${why}Took ${duration(job.started_at ?? job.created_at, job.finished_at)}.` : "";
  }
  const [start, end] = [ahead(job.estimated_start_at), ahead(job.estimated_end_at)];
  const soon = [start && ` It starts in ${start}`, end && `${start ? " and is done" : " Done"} in ${end}`].filter(Boolean).join("");
  const told = soon && `${soon}.`;
  return `${standing(job)}${told}`;
}

function standing(job) {
  if (job.queue_position) return `${job.queue_position === 1 ? "One job goes" : `${job.queue_position} jobs go`} before it.`;
  if (job.status === "validating") return "It starts once its labelled set is checked.";
  if (job.status === "queued" && !job.stage) return "Next in line.";
  const again = job.attempt > 1 ? `, attempt ${job.attempt}` : "";
  return `${job.stage ? plain(job.stage) : "Starting"} … ${percent(job.progress)}${again}.`;
}

function attemptsOf(attempts) {
  return h("details", {}, h("summary", {}, `${counted(attempts.length, "attempt")}`), h("ol", { class: "events" }, attempts.map((each) =>
    h("li", {}, h("time", { datetime: each.started_at }, clock(each.started_at)),
      `attempt ${each.attempt}${each.ended_at ? `, ${duration(each.started_at, each.ended_at)}` : ""}: ${each.why}`))));
}

function told(event) {
  const details = Object.entries(event.data ?? {})
    .filter(([name]) => name !== "status" && name !== "error")
    .map(([name, value]) => `${plain(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const words = [plain(event.type), ...details, event.data?.error?.message].filter(Boolean).join(" · ");
  return h("li", {}, h("time", { datetime: event.created_at }, clock(event.created_at)), words);
}

async function retry(api, job, reload) {
  try {
    await api.post(`/v1/jobs/${job.id}/retry`);
    notify(`${nameOf(job)} is queued once more.`);
  } catch (error) {
    notify(error.message);
  }
  reload();
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
