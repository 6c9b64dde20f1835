// A version on trial beside production: a canary answers a share of all images, a shadow draws along and is never seen.
import { askFor, field } from "./ask_dialog.js";
import { h, notify } from "./dom.js";
import { percent } from "./words.js";

const SERVABLE = ["passed", "approved"];

/**
 * @param {import("./api.js").Api} api
 * @param {object} adapter
 * @param {{alias: object, versions: object[]}} standing the alias production, and all versions
 * @param {() => void} reload
 * @returns {HTMLElement|null} null where there is nothing to try
 */
export function trialPanel(api, adapter, { alias, versions }, reload) {
  const others = versions.filter(({ status, version }) => SERVABLE.includes(status) && version !== alias.version);
  const running = alias.canary || alias.shadow;
  if (!running && !others.length) return null;
  const path = `/v1/adapters/${adapter.id}/aliases/production`;
  // what is on trial as it stands now, not as it was drawn
  const put = async (trial) => {
    const [now, tag] = await api.getTagged(path);
    return api.put(path, { version: now.version, ...(now.canary ? { canary: now.canary } : {}), ...(now.shadow ? { shadow: now.shadow } : {}), ...trial }, tag);
  };
  const done = (sentence) => () => {
    notify(sentence);
    reload();
  };
  const end = (what, trial) => put(trial).then(done(`The ${what} ended.`), (error) => notify(error.message));
  const begin = () => askTrial(adapter, others, put, reload);
  return h("div", { class: "trial" },
    h("div", { class: "row" },
      h("h3", {}, "On trial"),
      alias.canary && h("span", { class: "badge live" }, `canary: version ${alias.canary.version}, ${percent(alias.canary.weight)} of images`),
      alias.shadow && h("span", { class: "badge live" }, `shadow: version ${alias.shadow}`),
      !running && h("span", { class: "muted small" }, "nothing; production answers every image")),
    h("div", { class: "row" },
      others.length > 0 && h("button", { type: "button", onclick: begin }, running ? "Change the trial" : "Start a trial"),
      alias.canary && h("button", { type: "button", onclick: () => end("canary", { canary: null }) }, "End the canary"),
      alias.shadow && h("button", { type: "button", onclick: () => end("shadow", { shadow: null }) }, "End the shadow")));
}

function askTrial(adapter, others, put, reload) {
  const version = h("select", { id: "trial-version" }, others.map((each) => h("option", { value: each.version }, `Version ${each.version}`)));
  const kind = h("select", { id: "trial-kind" }, h("option", { value: "canary" }, "Canary: answers a share"), h("option", { value: "shadow" }, "Shadow: draws along, unseen"));
  const weight = h("input", { id: "trial-weight", type: "number", min: 1, max: 100, step: 1, value: 10, required: true });
  const weightField = field("Share of images, in percent", weight, "Chosen by the image: the same picture always gets the same version, and a larger share only adds pictures.");
  const shadowNote = h("p", { class: "small muted", hidden: true }, "How often it agrees with production stands in the edge's /metrics.");
  kind.addEventListener("change", () => {
    weightField.hidden = weight.disabled = kind.value === "shadow";
    shadowNote.hidden = kind.value !== "shadow";
  });
  askFor({
    title: `A trial beside ${adapter.name}`, verb: "Start",
    say: "Production stays where it is. What answered an image is told in X-Adapter-Version; ending the trial takes effect within a second.",
    fields: [field("Version", version), field("How", kind), weightField, shadowNote],
    work: () => {
      const number = Number(version.value);
      return put(kind.value === "shadow" ? { shadow: number } : { canary: { version: number, weight: Number(weight.value) / 100 } });
    },
    onDone: () => {
      notify(`Version ${version.value} is on trial.`);
      reload();
    },
  });
}
