// Jobs: what runs, how far it is, why it failed. Each open job is followed as it happens; the list finds new ones.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { OPEN, jobCard } from "./job_card.js";

const SOON_MS = 1500;
const LATER_MS = 4000;
const MOST = 20;

/** The view; it polls while it is shown. */
export function jobsView(api) {
  const list = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading jobs …"));
  const trouble = h("div");
  const cards = new Map();
  let timer = null;
  let stopped = false;
  let asked = 0;

  const poll = async () => {
    const turn = ++asked;
    clearTimeout(timer);
    let wait = LATER_MS;
    try {
      const jobs = await api.list("/v1/jobs", MOST);
      if (stopped || turn !== asked) return;
      fill(trouble);
      if (jobs.some((job) => OPEN.includes(job.status))) wait = SOON_MS;
      for (const job of jobs) {
        if (!cards.has(job.id)) cards.set(job.id, jobCard(api, poll));
        cards.get(job.id).update(job);
      }
      const wanted = jobs.length ? jobs.map((job) => cards.get(job.id).element) : [nothing(api.operator)];
      // moving nothing that stays keeps the reader's focus and open histories where they are
      if (wanted.length !== list.children.length || wanted.some((element, index) => list.children[index] !== element)) {
        fill(list, wanted);
      }
    } catch (error) {
      if (stopped || turn !== asked) return;
      if (!cards.size) fill(list);
      fill(trouble, alertOf(error));
    }
    timer = setTimeout(poll, wait);
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    for (const card of cards.values()) card.stop();
  };
  const lead = api.operator
    ? "Pretraining of bases, sweeps over recipes, and whatever else operators queue. Tenants' own jobs are theirs to see; the cluster view counts them."
    : "A fit encodes your images, fits all factors at once, scores itself on images it did not see, and meets the gate.";
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Jobs"), h("p", { class: "lead" }, lead))), trouble, list);
  return { element, title: "Jobs", start: poll, stop };
}

function nothing(operator) {
  return operator
    ? h("div", { class: "empty" },
      h("h2", {}, "No job yet"), h("p", {}, "A base is trained from a recipe; queue one and watch it here."), h("pre", {}, "heddle base pretrain recipe.yaml"))
    : h("div", { class: "empty" },
      h("h2", {}, "No job yet"), h("p", {}, "Queue a fit on a labelled set and watch it here."),
      h("div", { class: "row" }, h("a", { class: "button", href: "#/data" }, "Go to your data")), h("pre", {}, "heddle fit avatars --data spring"));
}
