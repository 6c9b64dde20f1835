// The account: what is used of the quota, the keys, the webhooks, and what was done; one tab each.
import { activityPanel } from "./activity_panel.js";
import { fill, h } from "./dom.js";
import { keysPanel } from "./keys_panel.js";
import { usagePanel } from "./usage_panel.js";
import { webhooksPanel } from "./webhooks_panel.js";

const TABS = {
  usage: ["Usage", "What you use of what you may, and when.", (api) => usagePanel(api, "/v1/quota", "/v1/usage")],
  keys: ["API keys", "One key for each place that needs one, with no more scopes than it needs.", keysPanel],
  webhooks: ["Webhooks", "Addresses that are told when jobs end, versions wait for you, and sets are checked.", webhooksPanel],
  activity: ["Activity", "Who changed what, newest first; every entry seals the one before it.", activityPanel],
};
const OF_OPERATORS = ["keys", "activity"];

/** The view at #/account/<tab>. */
export function accountView(api, [wanted]) {
  const names = api.operator ? OF_OPERATORS : Object.keys(TABS);
  const chosen = names.includes(wanted) ? wanted : names[0];
  const [title, lead, panelOf] = TABS[chosen];
  const panel = panelOf(api);
  const tabs = h("nav", { class: "tabs", "aria-label": "Account" }, names.map((name) =>
    h("a", { href: `#/account/${name}`, "aria-current": name === chosen && "page" }, TABS[name][0])));
  const actions = h("div", { class: "row" });
  fill(actions, panel.actions ?? []);
  const element = h("section", { class: "view" },
    h("header", {}, h("div", {}, h("h1", {}, "Account"), h("p", { class: "lead" }, lead)), panel.actions && actions), tabs, panel.element);
  return { element, title: `${title} · Account`, start: panel.load, stop: panel.stop };
}
