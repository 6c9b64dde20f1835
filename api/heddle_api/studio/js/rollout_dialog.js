// Starting a rollout: to which base, for whom, and how careful; a dry run unless it is said otherwise.
import { askFor, field } from "./ask_dialog.js";
import { h, notify } from "./dom.js";

const WAITS = [["", "Until somebody decides"], ["3600", "An hour"], ["86400", "A day"], ["604800", "A week"]];

/** @param {import("./api.js").Api} api @param {object} [given] a rollout whose dry run is to be done in earnest */
export async function askRollout(api, given = null) {
  let bases = [];
  try {
    bases = await api.list("/v1/bases");
  } catch (error) {
    return notify(error.message);
  }
  const base = h("select", { id: "rollout-base" }, bases.map((each) =>
    h("option", { value: each.id, selected: each.id === given?.base.id }, `${each.name} (${each.digest.slice(0, 8)})`)));
  const how = h("select", { id: "rollout-how" },
    h("option", { value: "dry" }, "Dry run: fit, judge, report; move nothing"),
    h("option", { value: "real", selected: Boolean(given) }, "In earnest: move what passes, a canary first"));
  const share = h("input", { id: "rollout-share", type: "number", min: 1, max: 100, step: 1, value: Math.round(100 * (given?.canary_share ?? 0.1)), required: true });
  const wait = h("select", { id: "rollout-wait" }, WAITS.map(([value, words]) => h("option", { value, selected: value === String(given?.max_wait_seconds ?? "") }, words)));
  const only = h("textarea", { id: "rollout-only", rows: 2, class: "code", spellcheck: "false", placeholder: "ten_… one a line; empty: all" });
  only.value = (given?.tenants ?? []).join("\n");
  const careful = h("div", { class: "stack", hidden: !given },
    field("Moved first, percent of the tenants", share, "At least one tenant; the rest waits for you to go on."),
    field("The canary waits", wait, "After that it is rolled back by itself."));
  how.addEventListener("change", () => { careful.hidden = how.value === "dry"; });
  askFor({
    title: given ? `Roll ${given.base.name} out in earnest?` : "Start a rollout", verb: "Start", wide: true,
    say: "Served adapters on other bases are fitted anew on this one and held against their predecessors on the same rows. What gets worse stays where it is.",
    fields: [field("Base", base), field("How", how), careful, field("Only these tenants", only)],
    work: () => {
      const tenants = only.value.split(/[\s,]+/).filter(Boolean);
      return api.post(`/v1/bases/${base.value}/rollout`, {
        dry_run: how.value === "dry", canary_share: Number(share.value) / 100,
        max_wait_seconds: wait.value ? Number(wait.value) : null, tenants: tenants.length ? tenants : null,
      });
    },
    onDone: (made) => { location.hash = `#/rollouts/${made.id}`; },
  });
}
