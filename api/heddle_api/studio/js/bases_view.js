// Bases, for operators: the shared models that adapters stand on, with their aliases and model cards.
import { alertOf } from "./alert.js";
import { fill, h } from "./dom.js";
import { openPage } from "./page_dialog.js";
import { moment } from "./words.js";

/** The view. */
export function basesView(api) {
  const list = h("div", { class: "stack" }, h("p", { class: "muted" }, "Loading bases …"));
  const load = async () => {
    try {
      const bases = await api.list("/v1/bases");
      const manifests = await Promise.all(bases.map(({ id }) => api.get(`/v1/bases/${id}`)));
      fill(list, bases.length ? manifests.map((base) => panel(api, base)) : nothing());
    } catch (error) {
      fill(list, alertOf(error), h("p", {}, h("button", { type: "button", onclick: load }, "Try again")));
    }
  };
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Bases"), h("p", { class: "lead" }, "The frozen models that every adapter stands on. New fits take the one that the alias default points at."))),
    list);
  return { element, title: "Bases", start: load, stop() {} };
}

function panel(api, base) {
  const manifest = base.manifest ?? {};
  const aliases = Array.isArray(base.aliases) ? base.aliases : Object.keys(base.aliases ?? {});
  const told = [
    ["Latents", manifest.latents ?? manifest.config?.latents], ["Image side", manifest.image_size ?? manifest.config?.image_size],
    ["Steps", manifest.recipe?.steps], ["Seed", manifest.recipe?.seed],
  ].filter(([, found]) => typeof found === "number");
  const card = () => openPage({
    title: `Model card of ${base.name}`, load: () => api.getPage(`/v1/bases/${base.id}/card`), filename: `${base.name}-card.html`,
  });
  return h("article", { class: "panel", "aria-label": `Base ${base.name}` },
    h("div", { class: "row spread" },
      h("div", { class: "row" }, h("h2", {}, base.name), aliases.map((alias) => h("span", { class: "badge live" }, alias)),
        h("span", { class: "small muted" }, moment(base.created_at))),
      h("button", { type: "button", onclick: card }, "Open model card")),
    told.length > 0 && h("dl", { class: "figures" }, told.map(([name, found]) => h("div", {}, h("dt", {}, name), h("dd", {}, found.toLocaleString("en"))))),
    h("p", { class: "small muted id" }, `${base.id} · sha256 ${base.digest.slice(0, 16)}…`));
}

function nothing() {
  return h("div", { class: "empty" }, h("h2", {}, "No base yet"), h("p", {}, "Without one nothing can be fitted or edited. Publish the one that ships with Heddle, or your own:"), h("pre", {}, "heddle base publish folder/"));
}
