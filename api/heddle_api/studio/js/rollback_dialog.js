// Rolling back: before production moves, what will change, factor by factor.
import { alertOf } from "./alert.js";
import { askFor } from "./ask_dialog.js";
import { openDialog } from "./dialog.js";
import { fill, h, notify } from "./dom.js";
import { plain, share } from "./words.js";

/**
 * @param {import("./api.js").Api} api
 * @param {{id: string, name: string}} adapter
 * @param {object} alias production: its version, the one before, and a canary if one runs, which ends first
 * @param {() => void} onMoved
 */
export function askRollBack(api, adapter, alias, onMoved) {
  const { version: from, previous_version: to, canary } = alias;
  if (canary) return askEnd(api, adapter, alias, onMoved);
  const changes = h("div", {}, h("p", { class: "muted" }, "Comparing the two versions …"));
  const trouble = h("div");
  const submit = h("button", { type: "submit", class: "primary" }, "Roll back");
  const onsubmit = async () => {
    submit.disabled = true;
    try {
      await api.post(`/v1/adapters/${adapter.id}/rollback`, { alias: "production" });
      dialog.close();
      notify(`${adapter.name}: production rolled back.`);
      onMoved();
    } catch (error) {
      fill(trouble, alertOf(error));
      submit.disabled = false;
    }
  };
  const dialog = openDialog(`Roll ${adapter.name} back to version ${to}?`, (close) => [
    h("p", { class: "muted" }, `Production moves from version ${from} to version ${to}; apps get it within a second. Rolling back again undoes it.`),
    changes, trouble,
    h("div", { class: "row" }, submit, h("button", { type: "button", onclick: close }, "Cancel")),
  ], { onsubmit, wide: true });
  compare(api, adapter, from, to).then((found) => fill(changes, found), (error) => fill(changes, alertOf(error)));
}

function askEnd(api, adapter, { version, previous_version: previous, canary }, onMoved) {
  const then = previous ? ` Roll back once more to bring version ${previous} back.` : "";
  askFor({
    title: `End the canary of ${adapter.name}?`, verb: "Roll back",
    say: `The trial ends first: version ${canary.version} answers nothing more within a second, and production stays at version ${version}.${then}`,
    work: () => api.post(`/v1/adapters/${adapter.id}/rollback`, { alias: "production" }),
    onDone: () => {
      notify(`${adapter.name}: the canary ended.`);
      onMoved();
    },
  });
}

async function compare(api, adapter, from, to) {
  const [now, then] = await Promise.all([from, to].map((version) => api.get(`/v1/adapters/${adapter.id}/versions/${version}/card`)));
  const names = [...new Set([...now.factors, ...then.factors].map(({ name }) => name))];
  const of = (card, name) => card.factors.find((factor) => factor.name === name);
  const change = (name, measure) => `${share(of(now, name)?.[measure])} → ${share(of(then, name)?.[measure])}`;
  const lost = names.filter((name) => allowed(now, name) && !allowed(then, name));
  const won = names.filter((name) => !allowed(now, name) && allowed(then, name));
  const said = [
    lost.length && `No longer editable: ${lost.map(plain).join(", ")}.`,
    won.length && `Editable again: ${won.map(plain).join(", ")}.`,
    !lost.length && !won.length && "The same factors stay editable.",
    `Fitted on ${then.labels} labelled images instead of ${now.labels}.`,
  ].filter(Boolean).join(" ");
  return h("div", { class: "stack" }, h("p", {}, said), h("div", { class: "table-frame" }, h("table", { class: "table snug" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Factor"), ["Accuracy", "Effect", "Leakage"].map((name) => h("th", { scope: "col", class: "number" }, name)))),
    h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, plain(name)),
      ["accuracy", "effect", "leakage"].map((measure) => h("td", { class: "number" }, change(name, measure)))))))));
}

function allowed(card, name) {
  return Boolean(card.gate?.factors?.[name]?.passed);
}
