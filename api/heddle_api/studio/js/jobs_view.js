// Jobs: what runs, how far it is, why it failed. Open jobs are asked about every second, finished ones seldom.
import { alertOf } from "./alert.js";
import { fill, h, notify } from "./dom.js";
import { clock, duration, moment, plain, status } from "./words.js";

const OPEN = ["validating", "queued", "running", "scoring"];
const SOON_MS = 1000;
const LATER_MS = 3000;

/** The view; it polls while it is shown. */
export function jobsView(api) {
  const list = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading jobs …"));
  const cards = new Map();
  let timer = null;
  let stopped = false;

  const poll = async () => {
    let wait = LATER_MS;
    try {
      const jobs = await api.list("/v1/jobs", 20);
      if (stopped) return;
      if (jobs.some((job) => OPEN.includes(job.status))) wait = SOON_MS;
      for (const job of jobs) {
        if (!cards.has(job.id)) cards.set(job.id, jobCard(api, poll));
        await cards.get(job.id).update(job);
      }
      const wanted = jobs.length ? jobs.map((job) => cards.get(job.id).element) : [nothing()];
      // moving nothing that stays keeps the reader's focus and open histories where they are
      if (wanted.length !== list.children.length || wanted.some((element, index) => list.children[index] !== element)) {
        fill(list, wanted);
      }
    } catch (error) {
      fill(list, alertOf(error));
    }
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(poll, wait);
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  const element = h("section", { class: "view" },
    h("header", {},
      h("div", {},
        h("h1", {}, "Jobs"),
        h("p", { class: "lead" }, "A fit encodes your images, fits all factors at once, scores itself on images it did not see, and meets the gate."))),
    list);
  return { element, title: "Jobs", start: poll, stop };
}

function nothing() {
  return h("div", { class: "empty" },
    h("h2", {}, "No job yet"),
    h("p", {}, "Queue a fit on a labelled set and watch it here."),
    h("pre", {}, "heddle fit avatars"));
}

/** One job's panel, brought up to date in place. */
function jobCard(api, reload) {
  const head = h("div", { class: "row spread" });
  const bar = h("progress", { max: 1, value: 0 });
  const stage = h("p", { class: "small muted" });
  const trouble = h("div");
  const events = h("ol", { class: "events" });
  const history = h("details", {}, h("summary", {}, "What happened"), events);
  const element = h("article", { class: "panel" }, head, bar, stage, trouble, history);
  let seen = "";

  const showEvents = async (job) => {
    const page = await api.get(`/v1/jobs/${job.id}/events?limit=100`);
    fill(events, page.data.map((event) =>
      h("li", {}, h("time", { datetime: event.created_at }, clock(event.created_at)), told(event))));
  };
  const update = async (job) => {
    const now = JSON.stringify([job.status, job.stage, job.progress, job.queue_position, job.attempt]);
    if (now === seen) return;
    seen = now;
    const open = OPEN.includes(job.status);
    const [words, tone] = status(job.status);
    element.setAttribute("aria-label", `Fit of ${job.adapter}: ${words}`);
    fill(head,
      h("div", { class: "row" }, h("h2", {}, `Fit of ${job.adapter}`), h("span", { class: `badge ${tone}` }, words)),
      h("div", { class: "row" },
        h("span", { class: "muted small" }, moment(job.created_at)),
        open && h("button", { type: "button", onclick: () => cancel(api, job, reload) }, "Cancel"),
        job.result?.version && h("a", { class: "button", href: "#/adapters" }, `Version ${job.result.version}`)));
    bar.hidden = !open;
    bar.value = job.progress;
    bar.setAttribute("aria-label", `Progress of the fit of ${job.adapter}`);
    stage.textContent = spoken(job, open);
    fill(trouble, job.error && h("p", { class: "alert" }, job.error.message));
    await showEvents(job);
  };
  return { element, update };
}

function spoken(job, open) {
  if (job.queue_position) return `${job.queue_position} job(s) go before it.`;
  if (open) return `${job.stage ? plain(job.stage) : "Waiting"} … ${Math.round(job.progress * 100)} %${job.attempt > 1 ? `, attempt ${job.attempt}` : ""}`;
  return job.finished_at ? `Took ${duration(job.started_at ?? job.created_at, job.finished_at)}.` : "";
}

function told(event) {
  const details = Object.entries(event.data)
    .filter(([name]) => name !== "status" && name !== "error")
    .map(([name, value]) => `${plain(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const words = [plain(event.type), ...details, event.data.error?.message].filter(Boolean);
  return words.join(" · ");
}

async function cancel(api, job, reload) {
  try {
    await api.post(`/v1/jobs/${job.id}/cancel`);
    notify(`The fit of ${job.adapter} is being cancelled.`);
  } catch (error) {
    notify(error.message);
  }
  reload();
}
